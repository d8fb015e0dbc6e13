"""Check the citations of a data set's answers against the pages they name.

    python eval/citation_check.py DATASET_DIR --index DIR [--scope document|collection]

asks every question and counts, for answers that are no abstentions: citations whose quote stands on the cited
page, letter for letter but for case, spaces and punctuation; citations with boxes; boxes whose words are the
quote. The check reads the stored pages alone and shares no code with the one that made the citations.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docrag import DocRAG
from docrag.errors import DocragError
from docrag.evaluation.dataset import load_dataset
from docrag.geometry import Box
from docrag.types import Citation, Page, PageRef, Scope


def letters(text: str) -> str:
    """Letters and digits alone, case folded."""
    return "".join(character for character in text.casefold() if character.isalnum())


def is_on_page(citation: Citation, page: Page) -> bool:
    """Whether the quote's letters follow one another somewhere in the page's text."""
    return bool(letters(citation.quote)) and letters(citation.quote) in letters(page.text)


def boxes_hold_quote(citation: Citation, page: Page) -> bool:
    """Whether every word of the quote is a word whose middle lies in one of the boxes."""
    boxes = [Box(*box).padded(0.5) for box in citation.boxes]
    inside = [w for w in page.words if any(box.contains_point(*w.box.center) for box in boxes)]
    boxed = letters("".join(page.word_text(word) for word in inside))
    return all(letters(word) in boxed for word in citation.quote.split())


def main() -> None:
    """Ask, check and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--scope", choices=("document", "collection"), default="document")
    parser.add_argument("--documents", type=Path, help="folder of the PDFs, when elsewhere")
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.dataset, documents=arguments.documents)
    n_answers = n_citations = n_on_page = n_boxed = n_boxes_right = n_full = 0
    with DocRAG.open(index=arguments.index) as rag:
        for question in dataset.questions:
            docs = (question.doc,) if arguments.scope == "document" else dataset.docs
            answer = rag.ask(question.text, scope=Scope(docs=docs))
            n_answers += not answer.abstained
            for citation in () if answer.abstained else answer.citations:
                page = rag.corpus.page(PageRef(citation.doc_id, citation.page_no))
                n_citations += 1
                n_full += citation.support == "full"
                n_boxed += bool(citation.boxes)
                n_boxes_right += bool(citation.boxes) and boxes_hold_quote(citation, page)
                if is_on_page(citation, page):
                    n_on_page += 1
                else:
                    print(
                        f"{question.question_id}: {citation.doc} page {citation.page_no}: {citation.quote!r}"
                    )
    print(f"{len(dataset.questions)} questions, {n_answers} answered, {n_citations} citations")
    for name, count, total in (
        ("quote stands on the cited page", n_on_page, n_citations),
        ("called fully supported", n_full, n_citations),
        ("with boxes", n_boxed, n_citations),
        ("boxes hold the quote's words", n_boxes_right, n_boxed),
    ):
        print(f"{name:32} {count:5} of {total:5}  {count / total if total else 0:.3f}")


if __name__ == "__main__":
    try:
        main()
    except (DocragError, OSError) as error:
        sys.exit(f"citation_check: {error}")
