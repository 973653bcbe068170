"""How costs are shown: every format holds the same numbers, rows add up, names are harmless, and unknown is never 0."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc.analysis.conventions import CONVENTIONS
from graphc.analysis.cost_report import DIRECTIONS, QUANTITIES, CostReport, Memory, NodeCost
from graphc.analysis.roofline import Device
from graphc.analysis.training import cost
from graphc.costs import Cost
from graphc.report.bars import bar
from graphc.report.cost import Roof, View, printed
from graphc.report.cost_rows import arranged, rows
from graphc.report.sheet import Bar, Count, Name, Sheet, Table, html, markdown, text

SPECS = Path(__file__).parent.parent / "specs"
REPORTS = [("resnet.yaml@r18", True), ("dmn.yaml", True), ("can.yaml@can24", False), ("fsrcnn.yaml", True)]
TAGS = frozenset(re.findall(r"\w+", "html head meta title style body h1 h2 p div table thead tbody tr th td code"))
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><b>',
    "a|b\\|c",
    "`code` *bold* _it_ [x](http://evil.example)",
    "=HYPERLINK(1)",
    "@team",
    "\x1b[31mred\x1b[0m",
    "right\u202eleft",
    "two\nlines",
    "a,b;c",
]


@pytest.fixture(scope="module", params=REPORTS, ids=lambda of: f"{of[0]}-{'train' if of[1] else 'infer'}")
def report(request: pytest.FixtureRequest) -> CostReport:
    source, training = request.param
    return cost(str(SPECS / source), training=training)


def node(name: str, mac: int = 1, uncosted: str = "", op_type: str = "Conv") -> NodeCost:
    forward = Cost() if uncosted else Cost(mac=mac, bytes_read=8)
    return NodeCost(forward, name=name, op_type=op_type, block=name.rpartition("/")[0], uncosted=uncosted)


def report_of(*nodes: NodeCost, training: bool = False) -> CostReport:
    return CostReport("net", nodes, 3, 0, 0, Memory(weights=12), training, False)


class Page(HTMLParser):
    """The tags of a page and the cells of its tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append(next((v or "" for k, v in attributes if k == "title"), ""))

    def handle_data(self, data: str) -> None:
        if self.cells and self.cells[-1] and not self.cells[-1][-1].endswith(("MAC", "FLOP", " B")):
            self.cells[-1][-1] += data


# ---------------------------------------------------------------- the same numbers


def totals_of(cells: list[list[str]]) -> dict[str, list[int]]:
    """The rows of the table of totals, in any format that shows numbers in full."""
    found = {}
    for name, *numbers in cells:
        key = name.strip().replace(" ", "_")
        if key in QUANTITIES and key not in found:
            found[key] = [int(number.split()[0].replace(",", "")) for number in numbers]
    return found


def expected(report: CostReport) -> dict[str, list[int]]:
    """Summed node by node from the JSON of the report."""
    value = report.as_json()
    directions = DIRECTIONS if report.training else DIRECTIONS[:1]
    found = {}
    for name in QUANTITIES:
        counts = [sum(node[name][direction] for node in value["nodes"]) for direction in directions]
        found[name] = [*counts, sum(counts)]
    return found


def test_markdown_has_the_totals(report: CostReport) -> None:
    page = printed(report, "net", View(), "md")
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert totals_of([line.strip("| ").split(" | ") for line in lines]) == expected(report)


def test_html_has_the_totals(report: CostReport) -> None:
    assert totals_of(Page(printed(report, "net", View(), "html")).cells) == expected(report)


def test_json_has_the_totals(report: CostReport) -> None:
    totals = json.loads(printed(report, "net", View(), "json"))["totals"]
    for name, (*counts, _) in expected(report).items():
        assert list(totals[name].values())[: len(counts)] == counts


@pytest.mark.parametrize("by", [None, "node", "block", "op"])
def test_csv_adds_up_to_the_totals(report: CostReport, by: str | None) -> None:
    lines = list(csv.DictReader(io.StringIO(printed(report, "net", View(by=by), "csv"))))
    assert sum(int(line["nodes"]) for line in lines) == len(report.nodes)
    for name, (*counts, _) in expected(report).items():
        for direction, count in zip(DIRECTIONS, counts, strict=False):
            assert sum(int(line[f"{direction}_{name}"]) for line in lines) == count


def test_text_has_the_totals_to_the_last_digit(report: CostReport) -> None:
    page = printed(report, "net", View(), "text")
    for name, counts in expected(report).items():
        line = re.search(rf"^{name.replace('_', ' ')} .*?([\d,]+) (MAC|FLOP|B)$", page, re.M)
        assert line is not None
        assert int(line[1].replace(",", "")) == counts[-1]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_convention_is_in_the_json_node_by_node(convention: str) -> None:
    report = cost(str(SPECS / "fsrcnn.yaml"), training=False)
    value = json.loads(printed(report, "net", View(CONVENTIONS[convention]), "json"))
    key = next(key for key in (convention, f"{convention}_macs") if key in value["totals"])
    assert value["totals"][key]["forward"] == sum(node[key]["forward"] for node in value["nodes"])
    page = printed(report, "net", View(CONVENTIONS[convention]), "text")
    assert f"in {convention}:" in page


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize(("by", "depth"), [("node", 1), ("op", 1), ("block", 1), ("block", 2), ("block", 9)])
def test_rows_add_up_however_nodes_are_grouped(report: CostReport, by: str, depth: int) -> None:
    found = rows(report, CONVENTIONS["macs"], by, depth)
    assert sum(row.total for row in found) == report.totals.total.mac
    assert sum(len(row.nodes) for row in found) == len(report.nodes)
    assert len({row.name for row in found}) == len(found)


def test_blocks_are_the_scopes_at_a_depth_and_end_with_the_node_of_their_name() -> None:
    names = ["stem", "body/0/conv", "body/0/norm/scale", "body/0/norm", "body/1/conv", "head"]
    report = report_of(*map(node, names))
    found = {
        depth: {row.name: len(row.nodes) for row in rows(report, CONVENTIONS["macs"], "block", depth)}
        for depth in (1, 2, 3)
    }
    assert found[1] == {"stem": 1, "body": 4, "head": 1}
    assert found[2] == {"stem": 1, "body/0": 3, "body/1": 1, "head": 1}
    assert found[3] == {"stem": 1, "body/0": 1, "body/0/norm": 2, "body/1": 1, "head": 1}


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(1, 9))
def test_the_first_rows_and_the_rest_are_all_rows_costliest_first(macs: list[int], top: int) -> None:
    found = rows(report_of(*(node(str(i), mac) for i, mac in enumerate(macs))), CONVENTIONS["macs"], "node")
    shown, rest = arranged(found, "total", top)
    assert [row.total for row in shown + rest] == sorted(macs, reverse=True)
    assert len(shown) == min(top, len(macs))
    first, rest = arranged(found, "order", top)
    assert first + rest == found
    names = [row.name for row in arranged(found, "name", None)[0]]
    assert names == sorted(names)


def test_what_is_left_out_is_one_row_so_that_tables_add_up() -> None:
    page = printed(report_of(node("a", 10), node("b", 20), node("c", 30)), "net", View(by="node", top=1), "text")
    assert re.findall(r"^ *(\d+) MAC +(\S+) %  [█ ]+(.*)$", page, re.M)[-2:] == [
        ("30", "50.0", "c: Conv"),
        ("30", "50.0", "2 more nodes"),
    ]


def test_the_share_of_nothing_is_no_division_by_zero() -> None:
    assert "0.0 %" in printed(report_of(node("a", 0)), "net", View(), "text")
    assert "totals" in printed(report_of(), "net", View(), "text")


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 40))
def test_a_bar_is_as_long_as_its_share_to_an_eighth(a: float, b: float, width: int) -> None:
    def eighths(share: float) -> int:
        return sum(8 if c == "█" else 0x2590 - ord(c) for c in bar(share, width))  # ▏ is U+258F, ▉ U+2589

    assert abs(eighths(a) - 8 * width * a) <= 0.5 + 1e-9
    assert (eighths(a) <= eighths(b)) or a > b


# ---------------------------------------------------------------- unknown is not 0


def test_what_is_not_known_is_said_and_never_0() -> None:
    report = report_of(node("known", 10), node("strange", uncosted="Strange is not counted", op_type="Strange"))
    page = printed(report, "net", View(), "text")
    assert re.search(r"^macs +≥ 10 MAC +≥ 10 MAC$", page, re.M)
    assert re.search(r"^uncosted +strange: Strange$", page, re.M)
    assert re.search(r"^strange: Strange +Strange is not counted$", page, re.M)
    (line,) = (line for line in csv.DictReader(io.StringIO(printed(report, "net", View(), "csv"))) if line["uncosted"])
    assert {line[key] for key in line if key.startswith(DIRECTIONS)} == {""}
    assert "≥ 10 MAC" in printed(report, "net", View(), "md")
    assert "≥ 10 MAC" in printed(report, "net", View(), "html")
    (listed,) = json.loads(printed(report, "net", View(), "json"))["uncosted"]
    assert listed == {"name": "strange", "op_type": "Strange", "reason": "Strange is not counted"}


def test_a_group_with_something_unknown_is_a_lower_bound() -> None:
    report = report_of(node("a/known", 10), node("a/strange", uncosted="no"), node("b", 5))
    page = printed(report, "net", View(by="block"), "text")
    assert re.search(r"^ *≥ 10 MAC +66.7 % .* a: 2 nodes$", page, re.M)
    assert re.search(r"^ *5 MAC +33.3 % .* b: Conv$", page, re.M)


def test_a_long_list_of_what_is_unknown_says_how_many_more() -> None:
    report = report_of(*(node(f"n{i}", uncosted="no") for i in range(50)))
    assert "30 more nodes" in printed(report, "net", View(), "text")


# ---------------------------------------------------------------- at best

TOY = Device(name="toy", macs_per_second={"fp32": 1.0}, bytes_per_second=1.0, seconds_per_node=1.0)


def test_nodes_are_listed_by_their_bound_and_the_rest_adds_up() -> None:
    """A second per multiply-add, 8 for the bytes of each node, and one for the node."""
    report = report_of(node("a", 10), node("b", 20), node("c", 30))
    page = printed(report, "net", View(top=1, roof=Roof(TOY)), "text").partition("the longest first")[2]
    assert re.search(r"^ *31.0 s +49.2 % +7.50 +compute +c: Conv$", page, re.M)
    assert re.search(r"^ *32.0 s +50.8 % +2 more rows$", page, re.M)


@pytest.mark.parametrize(("macs", "shown"), [(5, "9.00 s"), (998, "999 s"), (12344, "12,345 s")])
def test_times_have_three_digits_or_are_whole(macs: int, shown: str) -> None:
    page = printed(report_of(node("a", macs)), "net", View(roof=Roof(TOY)), "text")
    assert re.search(rf"^forward +{re.escape(shown)} ", page, re.M)


def test_what_is_not_known_makes_the_least_time_at_least() -> None:
    report = report_of(node("known", 10), node("strange", uncosted="no"))
    page = printed(report, "net", View(roof=Roof(TOY)), "text")
    assert re.search(r"^ +at least +compute +memory +overhead$", page, re.M)
    assert re.search(r"^forward +≥ 11.0 s +100.0 % +0.0 % +0.0 %$", page, re.M)
    assert "at least: of 1 node something is not known" in page
    table = printed(report, "net", View(by="node", roof=Roof(TOY)), "text")
    assert re.search(r"^uncosted +uncosted +.*strange: Conv$", table, re.M)


def test_nothing_takes_no_time() -> None:
    page = printed(report_of(), "net", View(roof=Roof(TOY)), "text")
    assert re.search(r"^forward +0.00 ns$", page, re.M)


def test_a_device_of_a_strange_name_does_no_harm() -> None:
    for name in HOSTILE:
        roof = Roof(TOY.model_copy(update={"name": name}))
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e]", printed(hostile(), "n", View(roof=roof), "text"))
        assert set(Page(printed(hostile(), "n", View(roof=roof), "html")).tags) <= TAGS


# ---------------------------------------------------------------- harmless


def hostile() -> CostReport:
    return report_of(*(node(name, uncosted=name if i % 2 else "") for i, name in enumerate(HOSTILE)))


def test_html_takes_no_name_for_a_tag() -> None:
    page = printed(hostile(), HOSTILE[0], View(by="node"), "html")
    parsed = Page(page)
    assert {"html", "table", "code"} <= set(parsed.tags) <= TAGS
    assert {key for key, _ in parsed.attributes} <= {
        "lang", "charset", "http-equiv", "content", "name", "class", "title", "style"
    }  # fmt: skip
    assert not re.search(r"https?://", re.sub(r"<code>.*?</code>|<td>.*?</td>", "", page))
    assert "default-src 'none'" in page
    written = {cell for row in parsed.cells for cell in row}
    assert any(HOSTILE[0] in cell for cell in written)


def test_markdown_takes_no_name_for_markup() -> None:
    page = printed(hostile(), "net", View(by="node"), "md")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows[-len(HOSTILE) // 2 :]} == {3}  # the table of what is uncosted
    names = re.findall(r"<code>(.*?)</code>", page)
    assert len(names) >= len(HOSTILE)
    assert not [name for name in names if re.search(r"[<>|`*\[\]@]|(?<!&)#|://", name)]


def test_text_and_csv_have_no_control_characters_and_no_formulas() -> None:
    for format in ("text", "csv", "md", "html", "json"):
        page = printed(hostile(), "net", View(by="node"), format)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)
    lines = list(csv.reader(io.StringIO(printed(hostile(), "net", View(), "csv"))))
    assert len(lines) == 1 + len(HOSTILE)
    assert not [cell for line in lines for cell in line if cell.startswith(("=", "+", "-", "@"))]


def test_json_is_ascii() -> None:
    assert printed(report_of(node("größe")), "net", View(), "json").isascii()


# ---------------------------------------------------------------- sheets


def test_a_sheet_in_each_form() -> None:
    rows = [["one", Count(1234, "MAC"), Bar(0.5, 4), Name("a/b", "Conv")], ["", Count(7, "", True), Bar(0), Name("")]]
    sheet = Sheet("title", ["a fact"], [Table("table", ("", "count", "", "name"), rows, "<><<", ["a note"])])
    assert text(sheet).splitlines() == [
        "title",
        "a fact",
        "",
        "table:",
        "         count      name",
        "one  1.23 kMAC  ██  a/b: Conv",
        "           ≥ 7",
        "a note",
    ]
    assert "| one | 1,234 MAC | ██ | <code>a/b</code> Conv |" in markdown(sheet).splitlines()
    page = html(sheet)
    assert '<td class="right" title="1,234 MAC">1.23 kMAC</td>' in page
    assert 'style="width:50.0%"' in page


def test_counts_of_whole_networks_are_ints_to_the_last_bit() -> None:
    """EfficientNet-B7 at a batch of a million exceeds 2^53; so does this."""
    report = cost(str(SPECS / "vgg16.yaml"), training=False, batch=10**7)
    one = cost(str(SPECS / "vgg16.yaml"), training=False, batch=1)
    macs = json.loads(printed(report, "net", View(), "json"))["totals"]["macs"]["forward"]
    assert macs == 10**7 * one.totals.forward.mac > 2**53


def test_every_number_of_the_json_is_an_int(report: CostReport) -> None:
    def numbers(value: object) -> list[object]:
        if isinstance(value, dict):
            return [number for each in value.values() for number in numbers(each)]
        if isinstance(value, list):
            return [number for each in value for number in numbers(each)]
        return [] if isinstance(value, str | bool | None) else [value]

    found = numbers(json.loads(printed(report, "net", View(), "json")))
    assert found
    assert {type(number) for number in found} == {int}


def test_dead_nodes_are_named() -> None:
    graph_input = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([2]))
    live, dead = ir.node("Relu", [graph_input], name="live"), ir.node("Exp", [graph_input], name="dead")
    graph = ir.Graph([graph_input], list(live.outputs), nodes=[live, dead], opset_imports={"": 20}, name="g")
    page = printed(cost(ir.Model(graph, ir_version=10), training=False), "net", View(), "text")
    assert "1 node feeds no output and does not run: dead" in page
