"""From PDFs to visual hits, with an encoder that sees colours; no extra needed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from tests.visual.colours import ColourEmbedder

from docrag.embed.visual.checkpoint import find_checkpoint
from docrag.errors import ConfigError, EncoderMismatch, ModelError, ModelUnavailable
from docrag.ingest.image_reader import ImageReader
from docrag.ingest.options import IngestOptions
from docrag.late_interaction.maxsim import MaxSim
from docrag.pipeline import visual_index
from docrag.pipeline.candidate_health import check_candidates
from docrag.pipeline.docrag import DocRAG
from docrag.pipeline.encoder_health import check_page_encoder
from docrag.pipeline.settings import Settings
from docrag.pipeline.vector_health import check_vectors
from docrag.pipeline.visual import (
    build_visual_retriever,
    compact_vectors,
    coverage_notice,
    index_visually,
    open_vectors,
)
from docrag.pipeline.visual_candidates import build_candidates
from docrag.pipeline.visual_options import (
    AutoOptions,
    CandidateOptions,
    ExactOptions,
    FdeOptions,
    LanceOptions,
    PooledOptions,
    ScreenOptions,
    TokensOptions,
    VisualOptions,
)
from docrag.protocols import ImageVectors
from docrag.retrieve.visual.retriever import VisualRetriever
from docrag.store.reader import IndexReader
from docrag.store.vector_space import read_candidates
from docrag.types import Query, Scope

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
FAST = IngestOptions(layout="fast", ocr="never", n_workers=1)


def write_pdf(path: Path, pages: list[str]) -> None:
    """One page per colour word; each has a filled square in the lower right quarter and a line of text."""
    document = pymupdf.open()
    for number, colour in enumerate(pages, 1):
        page = document.new_page(width=400, height=400)
        page.insert_text((30, 40), f"Sheet {number} of the sample")
        if colour in COLOURS:
            page.draw_rect((200, 200, 400, 400), fill=COLOURS[colour], color=COLOURS[colour])
    document.save(path)
    document.close()


def options(**more: object) -> VisualOptions:
    encoder = {"kind": "local", "model": "unused"}
    return VisualOptions.model_validate({"encoder": encoder, "longest_px": 64, "vectors": "float16"} | more)


def draw_here(plan, ingest, *, longest_px, password):
    """Draw in this process: starting a worker takes seconds."""
    reader = ImageReader({str(file.path): file.pages for file in plan}, longest_px)
    for key, file in enumerate(plan):
        source = reader.open(file.path, parser=file.document.parser, password=password)
        for page_no in sorted(file.pages):
            yield key, reader.read(source, page_no)
        source.close()


@pytest.fixture(autouse=True)
def no_workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "workers" not in request.node.name:
        monkeypatch.setattr(visual_index, "draw_in_workers", draw_here)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_pdf(folder / "a.pdf", ["red", "none", "green"])
    write_pdf(folder / "b.pdf", ["blue", "red"])
    with DocRAG.open(folder, settings=settings()) as rag:
        rag.index()
    return folder


@pytest.fixture
def indexed(sample: Path, tmp_path: Path) -> Path:
    """A fresh copy of the sample's files and text index."""
    folder = tmp_path / "files"
    shutil.copytree(sample, folder)
    (folder / ".docrag" / "folder").unlink(missing_ok=True)
    return folder


def settings(visual: VisualOptions | None = None) -> Settings:
    return Settings.model_validate(
        {
            "ingest": FAST,
            "embed": {"kind": "none"},
            "visual": visual,
            "retrieval": RETRIEVAL if visual else {},
        }
        if visual
        else {"ingest": FAST, "embed": {"kind": "none"}}
    )


RETRIEVAL = {
    "retrievers": ["bm25", "visual"],
    "fusion": {"kind": "weighted-sum", "weights": {"bm25": 0.5, "visual": 0.5}},
}


def add(folder: Path, embedder: ColourEmbedder, chosen: VisualOptions, **more: object):
    with IndexReader(folder / ".docrag") as corpus:
        return index_visually(corpus, chosen, embedder, folder=folder, ingest=FAST, **more)  # type: ignore[arg-type]


def search(
    folder: Path, text: str, chosen: VisualOptions, *, unit: str = "page", k: int = 10, **scope: object
) -> list[tuple[str, int, int]]:
    with IndexReader(folder / ".docrag") as corpus:
        retriever = build_visual_retriever(corpus, chosen, ColourEmbedder())
        found = retriever.retrieve(Query(text, unit, Scope(**scope)), k=k)  # type: ignore[arg-type]
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)
    return [(s.unit.doc, s.unit.page_no, s.unit.chunk_no) for s in found]


def test_pages_are_found_by_their_colours(indexed: Path):
    report = add(indexed, ColourEmbedder(), options())
    assert (report.n_pages, report.n_pages_with_vectors, report.n_added) == (5, 5, 5)
    assert not report.is_partial
    assert search(indexed, "green", options())[0] == ("a.pdf", 3, 0)
    assert search(indexed, "red", options())[:2] == [("a.pdf", 1, 0), ("b.pdf", 2, 0)]  # a tie, by name
    assert len(search(indexed, "red", options())) == 5
    assert search(indexed, "red", options(), docs=("b.pdf",)) == [("b.pdf", 2, 0), ("b.pdf", 1, 0)]
    assert search(indexed, "red", options(), docs=("a.pdf",), pages=((2, 3),))[0][1] in (2, 3)
    assert search(indexed, "blue", options(), k=1) == [("b.pdf", 1, 0)]
    assert search(indexed, " ", options()) == []


def test_a_second_pass_encodes_nothing(indexed: Path):
    add(indexed, ColourEmbedder(), options())
    embedder = ColourEmbedder()
    assert add(indexed, embedder, options()).n_added == 0
    assert embedder.n_images == 0


def test_an_interrupted_pass_goes_on_where_it_was(indexed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(visual_index, "ENCODE_IMAGES", 1)
    with pytest.raises(ModelUnavailable):
        add(indexed, ColourEmbedder(dies_after=3), options())
    with IndexReader(indexed / ".docrag") as corpus:
        assert len(open_vectors(corpus).view().pages()) == 3
        assert "only 3 of 5 pages have visual vectors" in coverage_notice(corpus)
    embedder = ColourEmbedder()
    report = add(indexed, embedder, options())
    assert (embedder.n_images, report.n_added, report.n_pages_with_vectors) == (2, 2, 5)
    with IndexReader(indexed / ".docrag") as corpus:
        assert coverage_notice(corpus) == ""
    assert search(indexed, "green", options())[0] == ("a.pdf", 3, 0)


def test_a_page_that_cannot_be_encoded_is_recorded_and_retried_when_asked(indexed: Path):
    embedder = ColourEmbedder(fails_on=(0, 0, 255))
    report = add(indexed, embedder, options())
    assert report.failed == (("b.pdf", 1, 0, "cannot look at this colour"),)
    assert (report.is_partial, report.n_added, report.n_pages_with_vectors) == (True, 4, 4)
    again = add(indexed, ColourEmbedder(), options())
    assert (again.n_added, len(again.failed)) == (0, 1)
    retried = add(indexed, ColourEmbedder(), options(), retry_failed=True)
    assert (retried.n_added, retried.failed, retried.n_pages_with_vectors) == (1, (), 5)


def test_an_encoder_that_fails_on_everything_marks_no_page_as_failed(indexed: Path):
    white = (255, 255, 255)  # on every page, and on the plain image that tells pages from encoders
    with pytest.raises(
        ModelError, match=r"cannot look at this colour\. The page encoder fails on every image"
    ):
        add(indexed, ColourEmbedder(fails_on=white), options())
    report = add(indexed, ColourEmbedder(), options())
    assert (report.n_added, report.failed) == (5, ())


def test_progress_counts_what_is_encoded_not_what_is_drawn(indexed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(visual_index, "ENCODE_IMAGES", 2)
    embedder = ColourEmbedder(fails_on=(0, 0, 255))
    seen: list[tuple[int, int]] = []
    add(
        indexed,
        embedder,
        options(),
        on_progress=lambda progress: seen.append((progress.n_done, progress.n_units)),
    )
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_few_images_are_encoded_together_where_each_takes_long(
    indexed: Path, monkeypatch: pytest.MonkeyPatch
):
    class Counting(ColourEmbedder):
        def embed_images(self, images: Sequence[np.ndarray]) -> list[ImageVectors]:
            together.append(len(images))
            return super().embed_images(images)

    together: list[int] = []
    monkeypatch.setattr(visual_index, "SLOW_IMAGES", 1)
    add(indexed, Counting(), options())
    assert together == [1, 4]  # quick: as many as there are
    together.clear()
    shutil.rmtree(indexed / ".docrag" / "segments")
    monkeypatch.setattr(visual_index, "ENCODE_S", 0.0)  # any time is long
    add(indexed, Counting(), options())
    assert together == [1, 1, 1, 1, 1]


def test_pages_are_drawn_in_workers(indexed: Path):
    whole = add(indexed, ColourEmbedder(), options())
    assert (whole.n_added, whole.failed) == (5, ())


def test_a_file_that_is_gone_or_changed_is_skipped_and_named(indexed: Path):
    (indexed / "a.pdf").unlink()
    write_pdf(indexed / "b.pdf", ["green"])
    report = add(indexed, ColourEmbedder(), options())
    assert report.n_added == 0
    assert report.skipped == {
        "a.pdf": "the file is not where it was indexed",
        "b.pdf": "the file has changed since it was indexed; run docrag index",
    }


def test_removed_documents_vanish_and_renamed_ones_are_not_encoded_again(indexed: Path):
    add(indexed, ColourEmbedder(), options())
    (indexed / "b.pdf").rename(indexed / "c.pdf")
    (indexed / "a.pdf").unlink()
    with DocRAG.open(indexed, settings=settings()) as rag:
        rag.index()
    assert search(indexed, "red", options()) == [("c.pdf", 2, 0), ("c.pdf", 1, 0)]
    embedder = ColourEmbedder()
    add(indexed, embedder, options())
    assert embedder.n_images == 0


def test_compaction_changes_no_ranking(indexed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(visual_index, "ENCODE_IMAGES", 1)
    monkeypatch.setattr(visual_index, "FLUSH_VECTORS", 1)
    add(indexed, ColourEmbedder(), options())
    before = search(indexed, "red blue", options())
    with IndexReader(indexed / ".docrag") as corpus:
        assert len(open_vectors(corpus).view().parts) == 5
        compact_vectors(corpus, options(), ColourEmbedder())
        assert len(open_vectors(corpus).view().parts) == 1
    assert search(indexed, "red blue", options()) == before


EVERY_STAGE = [
    AutoOptions(),
    ExactOptions(),
    PooledOptions(pool_factor=4),
    PooledOptions(pool_factor=4, vector_type="int8"),
    FdeOptions(n_planes=2),
    FdeOptions(n_planes=2, final_dim=64, index_from=2),
    FdeOptions(n_planes=2, search="flat"),
    TokensOptions(),
    LanceOptions(),
    LanceOptions(index_from=2),
    ScreenOptions(),
]


def named(candidates: CandidateOptions) -> str:
    return "-".join(f"{value}" for value in candidates.model_dump().values())


def test_auto_pools_by_sixteen_in_all(tmp_path: Path):
    names = [
        build_candidates(
            tmp_path, AutoOptions(), MaxSim("numpy"), dim=3, stored_pool_factor=factor
        ).stage.name
        for factor in (1, 3, 64)
    ]
    assert names == ["pooled-16-int8", "pooled-5-int8", "pooled-1-int8"]


def test_auto_takes_the_centroids_of_residuals_unless_vectors_are_pooled_already(tmp_path: Path):
    names = [
        build_candidates(
            tmp_path,
            AutoOptions(),
            MaxSim("numpy"),
            dim=3,
            stored_pool_factor=factor,
            vector_type="residual",
        ).stage.name
        for factor in (1, 4)
    ]
    assert names == ["centroids", "pooled-4-int8"]


@pytest.mark.parametrize("pool_factor", [1, 2])
@pytest.mark.parametrize("exact_below", [0, None])
def test_residuals_find_show_and_compact(indexed: Path, pool_factor: int, exact_below: int | None):
    chosen = options(vectors="residual", pool_factor=pool_factor, exact_below=exact_below, n_candidates=2)
    add(indexed, ColourEmbedder(), chosen)
    for colour, page in (("green", ("a.pdf", 3, 0)), ("blue", ("b.pdf", 1, 0))):
        assert search(indexed, colour, chosen, k=1) == [page]
    with IndexReader(indexed / ".docrag") as corpus:
        compact_vectors(corpus, chosen, ColourEmbedder())
    with IndexReader(indexed / ".docrag") as corpus:
        retriever = build_visual_retriever(corpus, chosen, ColourEmbedder())
        (best,) = retriever.retrieve(Query("green"), k=1)
        assert (best.unit.doc, best.unit.page_no) == ("a.pdf", 3)
        assert retriever.similarity("green", best.unit) is not None


@pytest.mark.parametrize("candidates", EVERY_STAGE, ids=named)
def test_candidates_find_what_exact_finds(indexed: Path, candidates: CandidateOptions):
    two_stage = options(candidates=candidates, exact_below=0, n_candidates=2)
    add(indexed, ColourEmbedder(), two_stage)
    for colour, page in (("green", ("a.pdf", 3, 0)), ("blue", ("b.pdf", 1, 0))):
        assert search(indexed, colour, two_stage, k=1) == [page]


@pytest.mark.parametrize("candidates", EVERY_STAGE, ids=named)
def test_a_stage_chosen_later_gets_what_it_needs_without_encoding(
    indexed: Path, candidates: CandidateOptions
):
    add(indexed, ColourEmbedder(), options())
    later = options(candidates=candidates, exact_below=0, n_candidates=2)
    embedder = ColourEmbedder()
    add(indexed, embedder, later)
    assert embedder.n_images == 0
    assert search(indexed, "green", later, k=1) == [("a.pdf", 3, 0)]
    with IndexReader(indexed / ".docrag") as corpus:
        retriever = build_visual_retriever(corpus, later, ColourEmbedder())
        names = set(retriever._candidates.column_names)
        assert all(names <= part.columns.keys() for part in open_vectors(corpus).view().parts)
    (recorded,) = [value for value in read_candidates(indexed / ".docrag").values()
                   if value["kind"] == candidates.kind and value == candidates.model_dump()]  # fmt: skip
    assert recorded.get("seed") == getattr(candidates, "seed", None)


@pytest.mark.parametrize("candidates", EVERY_STAGE, ids=named)
def test_a_stage_follows_what_is_added_removed_and_in_scope(indexed: Path, candidates: CandidateOptions):
    two_stage = options(candidates=candidates, exact_below=0, n_candidates=1)
    add(indexed, ColourEmbedder(), two_stage)
    assert search(indexed, "red", two_stage, k=1, docs=("b.pdf",)) == [("b.pdf", 2, 0)]
    assert search(indexed, "red", two_stage, k=1, pages=((2, 3),)) == [("b.pdf", 2, 0)]
    (indexed / "a.pdf").unlink()
    write_pdf(indexed / "c.pdf", ["none", "green"])
    with DocRAG.open(indexed, settings=settings()) as rag:
        rag.index()
    assert search(indexed, "red", two_stage, k=1) == [("b.pdf", 2, 0)]  # at once, before any visual pass
    add(indexed, ColourEmbedder(), two_stage)
    assert search(indexed, "green", two_stage, k=1) == [("c.pdf", 2, 0)]
    with IndexReader(indexed / ".docrag") as corpus:
        compact_vectors(corpus, two_stage, ColourEmbedder())
    assert search(indexed, "green", two_stage, k=1) == [("c.pdf", 2, 0)]
    assert search(indexed, "red", two_stage, k=1) == [("b.pdf", 2, 0)]


def test_other_vectors_than_the_index_holds_are_refused(indexed: Path):
    with (
        IndexReader(indexed / ".docrag") as corpus,
        pytest.raises(EncoderMismatch, match="no visual vectors"),
    ):
        build_visual_retriever(corpus, options(), ColourEmbedder())
    add(indexed, ColourEmbedder(), options())
    with pytest.raises(EncoderMismatch, match="encoder revision: index '1', configured '2'"):
        add(indexed, ColourEmbedder(revision="2"), options())
    with pytest.raises(EncoderMismatch, match="pool_factor: index 1, configured 2"):
        add(indexed, ColourEmbedder(), options(pool_factor=2))


def test_token_pooling_keeps_the_patches_of_a_page(indexed: Path):
    add(indexed, ColourEmbedder(), options(pool_factor=4))
    with IndexReader(indexed / ".docrag") as corpus:
        view = open_vectors(corpus).view()
        part = view.parts[0]
        grid = part.grids[0]
        assert grid is not None
        assert grid.shape == (8, 8)
        assert part.vectors.n_vectors[0] <= 16
        assert set(np.unique(grid)) == set(range(part.vectors.n_vectors[0]))
    assert search(indexed, "green", options(pool_factor=4))[0] == ("a.pdf", 3, 0)


# ── regions ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def with_pictures(tmp_path: Path) -> Path:
    """Two pages with one raster picture each, green above a caption and red above another."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    document = pymupdf.open()
    for number, colour in enumerate(((0, 200, 0), (200, 0, 0)), 1):
        page = document.new_page(width=400, height=400)
        page.insert_text((40, 40), f"A page of prose before figure {number}, long enough to be a paragraph.")
        picture = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 80, 60))
        picture.set_rect(picture.irect, colour)
        page.insert_image((60, 100, 300, 260), pixmap=picture)
        page.insert_text((60, 280), f"Figure {number}: a colour")
    document.save(folder / "p.pdf")
    with DocRAG.open(folder, settings=settings()) as rag:
        rag.index()
    return folder


@pytest.mark.parametrize("regions", ["direct", "cascade"])
def test_regions_are_ranked_directly_and_within_the_best_pages(with_pictures: Path, regions: str):
    chosen = options(units=("page", "region"), regions=regions, n_cascade_pages=1)
    report = add(with_pictures, ColourEmbedder(), chosen)
    assert report.n_added == 4
    found = search(with_pictures, "red", chosen, unit="region")
    assert found[0][:2] == ("p.pdf", 2)
    assert found[0][2] > 0
    assert len(found) == (2 if regions == "direct" else 1)


def test_a_picture_without_words_or_caption_is_found_and_has_a_box(tmp_path: Path):
    document = pymupdf.open()
    for colour in ((0, 200, 0), (200, 0, 0)):
        page = document.new_page(width=400, height=400)
        page.insert_text((40, 40), "A page of prose with a chart far below it, which bears no word at all.")
        picture = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 80, 60))
        picture.set_rect(picture.irect, colour)
        page.insert_image((60, 150, 300, 330), pixmap=picture)
    document.save(tmp_path / "p.pdf")
    chosen = options(units=("page", "region"))
    with RagWithColours(tmp_path / ".docrag", (tmp_path,), settings(chosen)) as rag:
        rag.index()
        assert rag.index_visual().n_added == 4
        (hit, *_) = rag.search("red", unit="region", k=3).hits
        assert (hit.page_no, hit.kind, hit.snippet) == (2, "picture", "")
        assert hit.box is not None
        assert np.abs(np.array(hit.box) - (60, 150, 300, 330)).max() <= 2
        words = [hit for hit in rag.search("prose chart", unit="region", k=9).hits if "bm25" in hit.sources]
        assert {hit.kind for hit in words} == {"text"}


def test_pages_can_be_ranked_by_their_regions_alone(with_pictures: Path):
    chosen = options(units=("region",))
    report = add(with_pictures, ColourEmbedder(), chosen)
    assert (report.n_added, report.n_pages_with_vectors) == (2, 0)
    assert search(with_pictures, "green", chosen) == [("p.pdf", 1, 0), ("p.pdf", 2, 0)]


# ── the whole, as the command line uses it ───────────────────────────────────────────────────────────


class RagWithColours(DocRAG):
    """The product with the encoder that sees colours."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._parts._page_embedder = ColourEmbedder()


def test_search_fuses_looks_and_words_and_says_what_is_missing(
    indexed: Path, monkeypatch: pytest.MonkeyPatch
):
    with RagWithColours(indexed / ".docrag", (indexed,), settings(options())) as rag:
        with pytest.raises(EncoderMismatch, match="no visual vectors"):
            rag.search("green")
        assert rag.notices() == []
        seen: list[int] = []
        report = rag.index_visual(on_progress=lambda progress: seen.append(progress.n_done), compact=True)
        assert report.to_json()["pages_with_vectors"] == 5
        assert seen[-1] == 5
        (hit, *_) = rag.search("green", k=3).hits
        assert (hit.doc, hit.page_no) == ("a.pdf", 3)
        assert hit.sources["visual"].rank == 1
        write_pdf(indexed / "d.pdf", ["blue"])
        rag.index()
        assert rag.notices() == [
            "only 5 of 6 pages have visual vectors; the others are found by their text alone. "
            "Run docrag index with the same configuration to add them"
        ]


def test_regions_that_have_no_vectors_are_said_to_have_none(indexed: Path, with_pictures: Path):
    looks = {"retrieval": {"retrievers": ["visual"], "fusion": {"kind": "reciprocal-rank"}}}
    pages = Settings.model_validate(settings(options()).model_dump() | looks)
    with RagWithColours(indexed / ".docrag", (indexed,), pages) as rag:
        rag.index_visual()
        assert rag.search("green", k=3).warnings == ()
        result = rag.search("green", unit="region", k=3)
        assert result.hits == ()
        (warning,) = result.warnings
        assert "visual vectors of whole pages only" in warning
        assert "visual.units=[page,region]" in warning
    regions = Settings.model_validate(settings(options(units=("page", "region"))).model_dump() | looks)
    with RagWithColours(with_pictures / ".docrag", (with_pictures,), regions) as rag:
        rag.index_visual()
        assert rag.search("green", unit="region", scope=Scope(pages=((9, 9),))).warnings == ()


def asked_for(chosen: VisualOptions, depth: int) -> Settings:
    return Settings.model_validate(
        settings(chosen).model_dump() | {"retrieval": RETRIEVAL | {"depth": depth}}
    )


def test_explain_names_the_candidate_stage_and_its_recall(indexed: Path):
    two_stage = options(candidates=TokensOptions(), exact_below=0, n_candidates=2)
    for chosen, stage, n_scored in ((two_stage, "tokens", 2), (options(), "exact", 5)):
        with RagWithColours(indexed / ".docrag", (indexed,), asked_for(chosen, 2)) as rag:
            rag.index_visual()
            (step,) = rag.explain_candidates(Query("red"), k=2)
            assert step.name == "visual candidates"
            assert step.detail == {
                "stage": stage,
                "n_units": 5,
                "n_scored_exactly": n_scored,
                "recall_at_2": 1,
            }
            assert rag.explain_candidates(Query(" "), k=2) == []
            assert rag.explain_candidates(Query("red", scope=Scope(pages=((9, 9),))), k=2) == []
    with DocRAG.open(indexed, settings=settings()) as rag:
        assert rag.explain_candidates(Query("red")) == []


def test_explain_tells_of_as_many_units_as_the_search_asked_for(indexed: Path):
    two_stage = options(candidates=TokensOptions(), exact_below=0, n_candidates=2)
    for depth, stage, n_scored in ((3, "tokens", 3), (200, "exact", 5)):
        with RagWithColours(indexed / ".docrag", (indexed,), asked_for(two_stage, depth)) as rag:
            rag.index_visual()
            (step,) = rag.explain_candidates(Query("red"), k=1)
            assert (step.detail["stage"], step.detail["n_scored_exactly"]) == (stage, n_scored)


def test_explain_tells_what_a_cascade_leaves_out(with_pictures: Path):
    cascade = options(units=("region", "page"), regions="cascade", n_cascade_pages=1)
    with RagWithColours(with_pictures / ".docrag", (with_pictures,), asked_for(cascade, 10)) as rag:
        rag.index_visual()
        (step,) = rag.explain_candidates(Query("red", "region"), k=10)
        found = search(with_pictures, "red", cascade, unit="region")
        exact = search(with_pictures, "red", options(units=("region", "page")), unit="region")
    assert step.detail == {
        "stage": "regions of the best 1 pages",
        "n_units": len(exact),
        "n_scored_exactly": len(found),
        "recall_at_10": round(len(found) / len(exact), 3),
    }
    assert 0 < len(found) < len(exact)


@pytest.mark.parametrize(
    ("candidates", "name"),
    [(AutoOptions(), "pooled-16-int8"), (TokensOptions(), "tokens"), (ScreenOptions(), "screen")],
)
def test_the_doctor_measures_the_recall_of_the_candidate_stage(
    indexed: Path, candidates: CandidateOptions, name: str
):
    chosen = options(candidates=candidates)
    add(indexed, ColourEmbedder(), chosen)
    (check,) = check_candidates(settings(chosen), indexed / ".docrag")
    assert (check.name, check.state) == ("candidates", "ok")
    assert check.detail.startswith(f"{name}: Recall@10 1.00 beside an exact scan of 5 pages")
    assert "100% of 5 queries" in check.detail


def test_the_doctor_says_what_the_candidate_stage_lacks(indexed: Path, tmp_path: Path):
    index = indexed / ".docrag"
    chosen = options()
    assert list(check_candidates(settings(), index)) == []
    assert list(check_candidates(settings(chosen), tmp_path / "none")) == []
    (check,) = check_candidates(settings(chosen), index)
    assert (check.state, check.detail) == ("note", "no page of the index has visual vectors")
    add(indexed, ColourEmbedder(), chosen)
    (check,) = check_candidates(settings(options(candidates=TokensOptions())), index)
    assert (check.state, check.detail) == ("note", "tokens: 1 of 1 segments lack what it looks at")
    assert "docrag index FOLDER" in check.mend
    (check,) = check_candidates(settings(options(candidates=FdeOptions())), index)
    assert check.state == "note"
    assert check.detail.endswith("seed42: 1 of 1 segments lack what it looks at")
    (segment,) = [path for path in (index / "segments").iterdir() if path.is_dir()]
    (segment / "codes.npy").write_bytes(b"")
    (check,) = check_candidates(settings(chosen), index)
    assert check.state == "problem"
    assert "damaged" in check.detail


def checkpoint(folder: Path, weight: bytes = b"1234") -> Path:
    """What looks like a checkpoint of ColPali, with four bytes of weights."""
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["ColPaliForRetrieval"]}')
    header = b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + weight)
    return folder


def test_the_doctor_compares_the_vectors_of_the_index_with_the_configuration(indexed: Path, tmp_path: Path):
    index = indexed / ".docrag"
    folder = checkpoint(tmp_path / "colpali")
    named = {"kind": "local", "model": str(folder)}
    assert list(check_vectors(settings(), index)) == []
    assert list(check_vectors(settings(options(encoder=named)), index)) == []
    found = find_checkpoint(str(folder), revision=None, download=False)
    embedder = ColourEmbedder(revision=found.revision)
    embedder.identity = dataclasses.replace(embedder.identity, name=found.name)
    embedder.processor = found.processor
    add(indexed, embedder, options(pool_factor=2))

    (check,) = check_vectors(settings(options(encoder=named, pool_factor=2)), index)
    assert (check.state, check.detail) == ("ok", "5 of 5 pages, float16, pooled by 2, by colpali")
    (check,) = check_vectors(settings(options(encoder=named, vectors="int8")), index)
    assert check.state == "problem"
    assert "vector_type: index 'float16', configured 'int8'; pool_factor: index 2" in check.detail
    (folder / "model.safetensors").unlink()
    checkpoint(tmp_path / "new", b"5678").joinpath("model.safetensors").rename(folder / "model.safetensors")
    (check,) = check_vectors(settings(options(encoder=named, pool_factor=2)), index)
    assert check.state == "problem"
    assert f"encoder revision: index '{found.revision}'" in check.detail


def test_the_doctor_counts_pages_without_vectors(indexed: Path):
    add(indexed, ColourEmbedder(fails_on=(0, 0, 255)), options())
    server = settings(options(encoder={"kind": "vllm", "base_url": "http://127.0.0.1:9"}))
    (check,) = check_vectors(server, indexed / ".docrag")
    assert (check.state, check.detail) == (
        "note",
        "4 of 5 pages, float16, by colours; 1 page or region could not be encoded",
    )
    assert "--retry-failed" in check.mend


def test_the_doctor_examines_a_checkpoint(tmp_path: Path):
    folder = checkpoint(tmp_path / "colpali")
    chosen = settings(options(encoder={"kind": "local", "model": str(folder)}))
    (check,) = check_page_encoder(chosen)
    assert check.state == "ok"
    assert check.detail.startswith("colpali, revision ")
    assert check.detail.endswith(", as ColPaliForRetrieval of transformers")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (check,) = check_page_encoder(chosen)
    assert check.state == "problem"
    assert "pickled (pytorch_model.bin)" in check.detail


def test_a_screen_is_taken_for_any_number_of_pages_and_certifies_what_is_asked_for(indexed: Path):
    with RagWithColours(
        indexed / ".docrag", (indexed,), asked_for(options(candidates=ScreenOptions()), 1)
    ) as rag:
        rag.index_visual()
        (step,) = rag.explain_candidates(Query("green"), k=1)
    assert step.detail == {"stage": "screen", "n_units": 5, "n_scored_exactly": 1, "recall_at_1": 1}


@pytest.mark.parametrize("vectors", ["int8", "residual", "1-bit"])
def test_a_screen_of_integers_is_a_configuration_error(vectors: str):
    with pytest.raises(ValueError, match=f"kind screen need vectors: float16 or float32, got {vectors}"):
        options(candidates=ScreenOptions(), vectors=vectors)


def test_visual_without_an_encoder_is_a_configuration_error(indexed: Path):
    with (
        DocRAG.open(indexed, settings=settings()) as rag,
        pytest.raises(ConfigError, match=r"visual\.encoder"),
    ):
        rag.index_visual()
    broken = Settings.model_validate({"ingest": FAST, "embed": {"kind": "none"}, "retrieval": RETRIEVAL})
    with DocRAG.open(indexed, settings=broken) as rag, pytest.raises(ConfigError, match=r"visual\.encoder"):
        rag.search("green")


def test_a_retriever_scores_like_the_kernel(indexed: Path):
    add(indexed, ColourEmbedder(), options(vectors="float32"))
    with IndexReader(indexed / ".docrag") as corpus:
        vectors = open_vectors(corpus)
        retriever = VisualRetriever(corpus, vectors, ColourEmbedder(), MaxSim("numpy"))
        (best, *_) = retriever.retrieve(Query("red white"), k=5)
        place = vectors.view().find(best.unit)
        assert place is not None
        page = place[0].vectors.vectors(place[1])
        query = ColourEmbedder().embed_queries(["red white"])[0].vectors
        assert best.score == pytest.approx((query @ page.T).max(axis=1).sum(), abs=1e-5)


def test_a_hit_without_words_gets_the_box_of_what_matched(indexed: Path, tmp_path: Path):
    with RagWithColours(indexed / ".docrag", (indexed,), settings(options(longest_px=256))) as rag:
        rag.index_visual()
        result = rag.search("blue", k=5)
        (hit,) = [hit for hit in result.hits if (hit.doc, hit.page_no) == ("b.pdf", 1)]
        # Its square is the lower right quarter of a page of 400 points; no word of the page is asked for.
        (box,) = rag._parts.visual_retriever().locate(result.query, hit.unit)
        assert np.abs(np.array(box) - (200, 200, 400, 400)).max() <= 50
        assert hit.snippet_boxes
        rag.write_search_report(result, tmp_path / "found.html")
    html = (tmp_path / "found.html").read_text("utf-8")
    assert html.count("<article") == len(result.hits)
    assert ">blue</label>" in html
    assert html.count("data:image/png") == 2 * len(result.hits)  # the whole question, and its one word
    assert "<script" not in html
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_a_report_says_why_a_picture_is_missing(indexed: Path, tmp_path: Path):
    with DocRAG.open(indexed, settings=settings()) as rag:
        result = rag.search("sheet", k=5)
        (indexed / "a.pdf").unlink()
        rag.write_search_report(result, tmp_path / "found.html")
    html = (tmp_path / "found.html").read_text("utf-8")
    assert html.count("No picture: a.pdf is not where it was indexed") == 3
    assert html.count("data:image/jpeg") == 2
    assert "data:image/png" not in html
