"""What a model is shown: pages and regions under evidence ids, as pictures and fenced text, made to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from docrag.answer.collage import collage, grid_for
from docrag.answer.fitting import Exhibit, Fitted, fit, pixels
from docrag.answer.legibility import reading_dpi, small_line_px
from docrag.answer.options import ContextOptions, Modality
from docrag.answer.run import Run
from docrag.answer.visible_text import VisibleText, visible_text, without_disguise
from docrag.chat.fence import fenced
from docrag.chat.messages import ImagePart, Message, Part, TextPart, user
from docrag.chat.model import Role
from docrag.errors import IngestError
from docrag.geometry import Box
from docrag.protocols import Corpus, PagePictures
from docrag.types import Evidence, Hit, Page, UnitRef

EVIDENCE_CHARS = 2_000
"""How much of what was shown an answer repeats as its evidence."""
CUT_MARK = "\n[… the rest of the page is left out]"
CROP_MARGIN_PT = 6.0
"""Around a region, so that its edges can be seen; half a line of text."""


@dataclass(frozen=True, slots=True)
class Context:
    """Parts of one message, the evidence they show in the order shown, and at which resolution.

    It is empty when there is nothing to show. `has_images` says whether any picture is among the parts.
    """

    parts: tuple[Part, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    dpi: float = 0.0

    @property
    def has_images(self) -> bool:
        """Whether a picture is among the parts."""
        return any(isinstance(part, ImagePart) for part in self.parts)

    @property
    def ids(self) -> tuple[str, ...]:
        """The evidence ids shown."""
        return tuple(evidence.evidence_id for evidence in self.evidence)

    def message(self, *more: str | Part) -> Message:
        """Return a user message of the parts and what follows them."""
        return user(*self.parts, *more)


class Viewer:
    """Shows hits to a model. Equal hits of one run give equal bytes, so a conversation only ever grows.

    Evidence ids are issued by the ledger of the run, and only for what is really shown. Text of documents is
    fenced with the marker of the run. What does not fit is shown at a lower resolution, then from the lowest
    rank on left out, then cut; every such step is a warning of the answer.

    It holds no state between questions. `pictures` None makes every context text.
    """

    def __init__(
        self, corpus: Corpus, pictures: PagePictures | None, options: ContextOptions | None = None
    ) -> None:
        self._corpus = corpus
        self._pictures = pictures
        self.options = options if options is not None else ContextOptions()

    def show(
        self,
        run: Run,
        hits: Sequence[Hit],
        *,
        role: Role = "answer",
        beside: Sequence[Message] = (),
        modality: Modality | None = None,
    ) -> Context:
        """Show `hits`, best first, to the model of `role`; `beside` is the rest of what will be sent.

        Hits of a region show the region, hits of a page the whole page. A page whose file is gone or has
        changed is shown as text, with a warning.
        """
        options = self.options
        chat = run.chats.of(role)
        wanted: Modality = modality if modality is not None else options.modality
        if wanted != "text" and self._pictures is None:
            run.warn("no pictures of pages are at hand; their text is used instead")
            wanted = "text"
        if wanted != "text" and chat.limits.max_images == 0:
            run.warn(f"{chat.name} takes no pictures; the text of the pages is used instead")
            wanted = "text"
        exhibits = [
            exhibit
            for hit in {hit.unit: hit for hit in hits}.values()
            if (exhibit := self._exhibit(run, hit, wanted)) is not None
        ]
        with run.trace.step("make context") as detail:
            packed = self._collage(run, exhibits, beside, role) if wanted != "text" else None
            if packed is not None:
                fitted, image = packed
            else:
                fitted = fit(exhibits, chat, run.marker, options=options, beside=beside)
                image = None
            for note in fitted.notes:
                run.warn(note)
            context = self._context(run, fitted, image)
            if context.has_images:
                run.shows_pictures_to(role)
            detail |= {
                "evidence": {e.evidence_id: [e.hit.doc, e.hit.page_no] for e in context.evidence},
                "modality": wanted,
                "packing": "collage" if image is not None else "separate",
                "dpi": round(fitted.dpi, 1),
                "n_images": sum(isinstance(part, ImagePart) for part in context.parts),
                "n_left_out": len(exhibits) - len(context.evidence),
                "n_tokens_estimated": fitted.n_tokens,
            }
        return context

    def zoom(self, run: Run, hit: Hit, box: Box | None = None, *, role: Role = "inspect") -> Context:
        """Show a part of a page at reading resolution under the id of `hit`; default: the box of the hit.

        Text of the part goes along. Without pictures, or for a model that takes none, it is text alone.
        """
        page = self._corpus.page(hit.unit.page)
        whole = Box(0.0, 0.0, *page.size)
        part = (box or hit.box or whole).intersection(whole) or whole
        shown = _text_in(page, part)
        self._warn_hidden(run, hit, shown)
        evidence = run.ledger.issue(hit, shown.text[:EVIDENCE_CHARS])
        parts: list[Part] = [TextPart(_heading(evidence.evidence_id, hit, "part of the page"))]
        dpi = reading_dpi(page, part, at_least=self.options.dpi)
        if self._pictures is not None and run.chats.of(role).limits.max_images:
            image = self._picture(run, hit, dpi, part.padded(CROP_MARGIN_PT).clipped(*page.size))
            if image is not None:
                parts.append(replace(image, label=evidence.evidence_id))
                run.shows_pictures_to(role)
        text = shown.text[: self.options.max_text_chars]
        if text.strip() or len(parts) == 1:
            parts.append(TextPart(fenced(text, run.marker, label=evidence.evidence_id)))
        return Context(tuple(parts), (evidence,), dpi)

    # ── what there is to show ────────────────────────────────────────────────────────────────────────

    def _exhibit(self, run: Run, hit: Hit, modality: Modality) -> Exhibit | None:
        try:
            page = self._corpus.page(hit.unit.page)
            chunk = self._corpus.chunk(hit.unit) if hit.unit.chunk_no else None
        except KeyError:
            run.warn(f"{hit.doc}, page {hit.page_no}: no longer in the index")
            return None
        shown = visible_text(page) if chunk is None else visible_text(page, chunk.start, chunk.end)
        if chunk is not None and chunk.kind == "table":
            table = without_disguise(chunk.text)  # rows and columns, which the page's own text has lost
            shown = VisibleText(table.text, tuple(dict.fromkeys((*shown.findings, *table.findings))))
        self._warn_hidden(run, hit, shown)
        clip = None
        if chunk is not None and chunk.boxes:
            clip = chunk.box.padded(CROP_MARGIN_PT).clipped(*page.size)
        with_image = modality != "text" and (clip is None or self.options.crops)
        text = shown.text.strip("\n")
        if len(text) > self.options.max_text_chars:
            text = text[: self.options.max_text_chars] + CUT_MARK
        return Exhibit(
            hit,
            page,
            text=text if modality != "image" or not with_image else "",
            full_text=text,
            clip=clip if with_image else None,
            with_image=with_image,
            crop_dpi=0.0 if clip is None else reading_dpi(page, clip, at_least=self.options.dpi),
        )

    def _warn_hidden(self, run: Run, hit: Hit, shown: VisibleText) -> None:
        if shown.findings:
            run.warn(
                f"{hit.doc}, page {hit.page_no}: holds what readers do not see ({', '.join(shown.findings)});"
                " it may be meant for the model"
            )

    def _picture(self, run: Run, hit: Hit, dpi: float, clip: Box | None) -> ImagePart | None:
        if self._pictures is None:
            return None
        try:
            return self._pictures.picture(hit.unit.page, dpi=dpi, clip=clip)
        except IngestError as error:
            run.warn(f"{hit.doc}, page {hit.page_no}: no picture, its text is used instead: {error}")
            return None

    # ── how it is shown ──────────────────────────────────────────────────────────────────────────────

    def _context(self, run: Run, fitted: Fitted, image: ImagePart | None) -> Context:
        """Issue ids in rank order, then put everything in the order asked for."""
        shown: list[tuple[Exhibit, Evidence, ImagePart | None]] = []
        for exhibit in fitted.exhibits:
            picture = None
            if exhibit.with_image and image is None:
                picture = self._picture(run, exhibit.hit, exhibit.dpi_at(fitted.dpi), exhibit.clip)
            if exhibit.with_image and picture is None and image is None:
                exhibit = exhibit.as_text()
            evidence = run.ledger.issue(exhibit.hit, exhibit.full_text[:EVIDENCE_CHARS])
            shown.append((exhibit, evidence, picture))
        if self.options.order == "document":
            shown = _in_document_order(shown)
        parts: list[Part] = []
        if image is not None:
            parts += [TextPart("One picture of all pages, each below its id:"), image]
        for exhibit, evidence, picture in shown:
            what = "" if exhibit.hit.kind is None else exhibit.hit.kind
            parts.append(TextPart(_heading(evidence.evidence_id, exhibit.hit, what)))
            if picture is not None:
                parts.append(replace(picture, label=evidence.evidence_id))
            if exhibit.text:
                parts.append(TextPart(fenced(exhibit.text, run.marker, label=evidence.evidence_id)))
        return Context(tuple(parts), tuple(evidence for _, evidence, _ in shown), fitted.dpi)

    def _collage(
        self, run: Run, exhibits: Sequence[Exhibit], beside: Sequence[Message], role: Role
    ) -> tuple[Fitted, ImagePart] | None:
        """All whole pages in one picture, None where that is not wanted or could not be read."""
        options, pages = self.options, [e for e in exhibits if e.clip is None]
        if options.packing != "collage" or len(pages) < 2 or len(pages) < len(exhibits):
            return None
        widest = max(e.page.width_pt for e in pages)
        highest = max(e.page.height_pt for e in pages)
        one = grid_for(len(pages), cell_px=pixels((widest, highest), options.dpi))
        dpi = options.dpi * min(1.0, options.collage_px / max(one.size_px))
        grid = grid_for(len(pages), cell_px=pixels((widest, highest), dpi))
        line_px = small_line_px([e.page for e in pages], dpi)
        if line_px is not None and line_px < options.min_line_px:
            run.warn(
                f"lines would be {line_px:.1f} px high on a collage of {len(pages)} pages, expected at least"
                f" {options.min_line_px:g} (context.min_line_px); the pages are shown one by one"
            )
            return None
        chat = run.chats.of(role)
        fitted = fit(
            [e.without_image() for e in exhibits],
            chat,
            run.marker,
            options=options,
            beside=beside,
            n_tokens_beside=chat.count_image(*grid.size_px),
        )
        if len(fitted.exhibits) < len(exhibits) or fitted.notes:
            return None
        pictures: list[tuple[str, ImagePart]] = []
        for exhibit in exhibits:
            picture = self._picture(run, exhibit.hit, dpi, None)
            if picture is None:
                return None
            evidence = run.ledger.issue(exhibit.hit, exhibit.full_text[:EVIDENCE_CHARS])
            pictures.append((evidence.evidence_id, picture))
        return replace(fitted, exhibits=tuple(exhibits), dpi=dpi), collage(pictures, grid)


def _in_document_order(
    shown: Sequence[tuple[Exhibit, Evidence, ImagePart | None]],
) -> list[tuple[Exhibit, Evidence, ImagePart | None]]:
    """Documents in the order of their best hit, each from its first page to its last."""
    places: dict[str, int] = {}
    for exhibit, _, _ in shown:
        places.setdefault(exhibit.hit.unit.doc_id, len(places))

    def place(item: tuple[Exhibit, Evidence, ImagePart | None]) -> tuple[int, UnitRef]:
        unit = item[0].hit.unit
        return places[unit.doc_id], unit

    return sorted(shown, key=place)


def _heading(evidence_id: str, hit: Hit, what: str) -> str:
    label = f' (printed "{hit.page_label}")' if hit.page_label and hit.page_label != str(hit.page_no) else ""
    kind = f", {what}" if what else ""
    name = without_disguise(" ".join(hit.doc.split())).text
    return f"Evidence {evidence_id}: {name}, page {hit.page_no}{label}{kind}"


def _text_in(page: Page, box: Box) -> VisibleText:
    """Text of the words whose middles lie in `box`, from the first such word of every line to the last."""
    spans: dict[int, tuple[int, int]] = {}
    for word in page.words:
        if box.contains_point(*word.box.center):
            first, _ = spans.get(word.line_no, (word.start, word.end))
            spans[word.line_no] = (first, word.end)
    lines = [visible_text(page, start, end) for start, end in spans.values()]
    findings = dict.fromkeys(finding for line in lines for finding in line.findings)
    return VisibleText("\n".join(line.text for line in lines), tuple(findings))
