"""Numbers as people read them, always with their unit: 12.3 GMAC, 6.72 MB, 840 ms, −78 %."""

from __future__ import annotations

PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def quantity(value: float, unit: str) -> str:
    """Three digits, a decimal prefix and the unit: `quantity(12_345_678, "MAC")` is `12.3 MMAC`."""
    scaled, power = float(value), 0
    while abs(scaled) >= 999.5 and power < len(PREFIXES) - 1:
        scaled, power = scaled / 1000, power + 1
    whole = power == 0 or abs(scaled) >= 999.5  # beyond the last prefix
    digits = f"{scaled:.0f}" if whole else f"{scaled:#.3g}".rstrip(".")
    return f"{digits} {PREFIXES[power]}{unit}"


def duration(seconds: float) -> str:
    """`0.0031` is `3.1 ms`; from a second on, `2.40 s`."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = 1000 * seconds
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.1f} ms"


def change(before: float, after: float) -> str:
    """The relative change in percent, signed; nothing where there is none or no base to compare with."""
    if before == after or not before:
        return ""
    percent = 100 * (after - before) / before
    if abs(percent) < 0.05:
        return "≈0 %"
    digits = f"{percent:+.0f}" if abs(percent) >= 10 else f"{percent:+.1f}"
    return f"{digits.replace('-', '−')} %"


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`, `no nodes`."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
