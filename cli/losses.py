"""What a run could not take or delete: the most frequent reasons, with their counts and an example each."""

from __future__ import annotations

from ..ingest.tally import Report, most_frequent

LONGEST = 200


def by_reason(report: Report) -> list[str]:
    """Lines for people, at most MOST_REASONS of the rejected and as many of what was not deleted."""
    return [
        *_lines(report, report.reasons, "rejected"),
        *_lines(report, report.not_deleted, "not deleted"),
    ]


def _lines(report: Report, counts: dict[str, int], what: str) -> list[str]:
    listed = most_frequent(counts)
    lines = [
        f"{count:8} {what} for {reason}, such as {report.examples.get(reason, '')[:LONGEST]}"
        for reason, count in listed
    ]
    if len(counts) > len(listed):
        rest = sum(counts.values()) - sum(count for _, count in listed)
        lines.append(f"{rest:8} {what} for {len(counts) - len(listed)} other reasons")
    return lines
