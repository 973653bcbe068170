"""What a lint run found in all of its files: what every output format is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from graphc.linting.finding import SEVERITIES, Finding, Severity, at_least
from graphc.linting.settings import FailOn
from graphc.naming import split_source


@dataclass(frozen=True)
class LintReport:
    """`files` are the sources that were linted, as they were named, clean ones too: `net.onnx`, `net.yaml@x4`.

    `suppressed` and `baselined` count the findings that are not told, because a suppression or the baseline has them.
    """

    findings: tuple[Finding, ...]
    files: tuple[str, ...]
    suppressed: int = 0
    baselined: int = 0
    seconds: float = 0.0

    @cached_property
    def counts(self) -> Mapping[Severity, int]:
        """How many findings there are of each severity, the worst first; 0 of one that does not occur."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    @property
    def worst(self) -> Severity | None:
        """The worst severity that occurs; None where nothing was found."""
        return next((severity for severity, count in self.counts.items() if count), None)

    def fails(self, bound: FailOn) -> bool:
        """Whether a finding is as bad as `bound` or worse; never for "never"."""
        return bound != "never" and self.worst is not None and at_least(self.worst, bound)

    @property
    def fixable(self) -> int:
        """How many findings a safe fix removes."""
        return sum(finding.fix is not None and finding.fix.safe for finding in self.findings)

    @property
    def unsafely_fixable(self) -> int:
        """How many findings only an unsafe fix removes."""
        return sum(finding.fix is not None and not finding.fix.safe for finding in self.findings)

    @cached_property
    def by_file(self) -> Mapping[str, Sequence[Finding]]:
        """Every linted file with its findings, none where it is clean. Those of a spec's variants are the spec's, and
        those about the run itself stand under no name."""
        found: dict[str, list[Finding]] = {file: [] for file in self.files}
        for finding in self.findings:
            file = finding.file if finding.file in found else file_of(finding.file)
            found.setdefault(file, []).append(finding)
        return found


def file_of(source: str) -> str:
    """The file of a source: a model's, or a spec's without its variant."""
    with suppress(OSError):  # a name that no file can have
        return split_source(source)[0]
    return source
