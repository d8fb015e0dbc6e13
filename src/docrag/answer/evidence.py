"""Evidence under ids issued for one run; nothing else may be cited."""

from __future__ import annotations

from docrag.types import Evidence, Hit


class EvidenceLedger:
    """Issues the ids "E1", "E2", … of one run and knows which were issued.

    The same unit gets the same id. Ids are compared character by character: "e1", "E01" or an "E1" written
    with a Cyrillic letter were not issued.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Evidence] = {}
        self._by_unit: dict[object, Evidence] = {}

    def issue(self, hit: Hit, text: str) -> Evidence:
        """Record what is shown to the answerer and return it under its id."""
        known = self._by_unit.get(hit.unit)
        if known is None:
            known = Evidence(f"E{len(self._by_id) + 1}", hit, text)
            self._by_id[known.evidence_id] = known
            self._by_unit[hit.unit] = known
        return known

    def get(self, evidence_id: str) -> Evidence | None:
        """Return the evidence of an issued id, None for any other."""
        return self._by_id.get(evidence_id)

    @property
    def issued(self) -> tuple[Evidence, ...]:
        """All evidence in the order of its ids."""
        return tuple(self._by_id.values())
