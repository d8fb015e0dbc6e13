# %% [markdown]
# # A tour of docrag from Python
#
# Cells as in a notebook (VS Code, Jupytext); as a script: `python eval/notebook_tour.py FOLDER`, where FOLDER
# holds PDFs, such as those of `python eval/make_samples.py FOLDER`. In a notebook, a result that stands last
# in its cell shows the cited page with its boxes; the script collects the same HTML in one file.

# %%
"""From a folder of PDFs to cited answers, streams, conversations, tables and LangChain; public names only."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from docrag import AnswerEvent, DocRAG, Scope, StepEvent
from docrag.integrations.langchain import DocragAnswerer, DocragRetriever

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path)
parser.add_argument("--out", type=Path, default=Path("tour.html"))
arguments = parser.parse_args()
shown: list[str] = []


def show(result: object) -> None:
    """Print a result, and keep how a notebook shows it."""
    print(result)
    shown.append(result._repr_html_())  # type: ignore[attr-defined] - all results have it


# %% [markdown]
# ## Open a folder, bring its index up to date

# %%
rag = DocRAG.open(arguments.folder)
report = rag.index()
print({file.doc: file.status for file in report.files})

# %% [markdown]
# ## Ask: text, and where it stands

# %%
answer = rag.ask("What was the net revenue in 2025?")
show(answer)

# %%
citation = answer.citations[0]
print(citation.doc, citation.page_no, citation.boxes, citation.support)

# %% [markdown]
# A question that the documents do not answer gets no answer, and the reason.

# %%
show(rag.ask("Which bank holds the pension fund of Larkfield Cycles?"))

# %% [markdown]
# ## Search pages, or regions of pages

# %%
show(rag.search("share of riders who want a longer range", k=2))

# %%
tables = rag.search("revenue by region", k=2, unit="region", scope=Scope(kinds=("table",)))
for hit in tables.hits:
    print(hit.doc, hit.page_no, hit.kind, hit.box)

# %% [markdown]
# ## Other forms: JSON, pandas, LangChain documents

# %%
print(answer.to_json()["citations"][0]["page"])
print(tables.to_pandas()[["doc", "page", "kind", "score"]])
print(answer.to_documents()[0].metadata["page_uri"].rpartition("/")[2])

# %% [markdown]
# ## Steps and text as they come

# %%
for event in rag.stream("What share of riders asked for a longer range?"):
    if isinstance(event, StepEvent):
        print("…", event.message)
    elif isinstance(event, AnswerEvent):
        print(event.answer.text)


# %% [markdown]
# ## Several questions at once


# %%
async def ask_all(questions: list[str]) -> list[str]:
    """Answers in order; cancelling the task would call all of them off."""
    return [answer.text for answer in await asyncio.gather(*map(rag.aask, questions))]


print(asyncio.run(ask_all(["What was the net revenue in 2025?", "What was the net revenue in 2024?"])))

# %% [markdown]
# ## A conversation; `rewrite` makes a follow-up stand on its own

# %%
chat = rag.chat(rewrite=lambda history, question: f"{history[-1].asked} {question}")
chat.ask("What was the net revenue?")
chat.ask("In 2025?")
for turn in chat.history:
    print(turn.question, "→", turn.asked, "→", turn.answer.text)

# %% [markdown]
# ## In LangChain

# %%
documents = DocragRetriever(rag=rag, k=1).invoke("net revenue 2025")
print(documents[0].metadata["doc"], documents[0].metadata["page"])
message = DocragAnswerer(rag=rag).invoke("What was the net revenue in 2025?")
print(message.content_blocks[0]["annotations"][0]["extras"]["boxes"])

# %%
rag.close()
arguments.out.write_text(
    f'<!doctype html><meta charset="utf-8"><title>docrag</title>{"<hr>".join(shown)}', "utf-8"
)
print(f"what a notebook shows: {arguments.out}")
