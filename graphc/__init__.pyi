"""The public names of graphc and where they live."""

from . import laws as laws
from .axis import Axis as Axis
from .axis import Phases as Phases
from .cases import Case as Case
from .cases import CaseBuilder as CaseBuilder
from .cases import Neighbour as Neighbour
from .cases import neighbours as neighbours
from .compilation import Compilation as Compilation
from .compilation import compile as compile
from .convolution import Convolution as Convolution
from .convolution import read_convolution as read_convolution
from .convolution import transpose_filter as transpose_filter
from .errors import GraphcError as GraphcError
from .errors import Note as Note
from .errors import Where as Where
from .limits import Limits as Limits
from .linting import Finding as Finding
from .linting import Lint as Lint
from .linting import findings as findings
from .linting import lint as lint
from .linting import lints as lints
from .model import load as load
from .model import save as save
from .pipeline import Pipeline as Pipeline
from .pipeline import Record as Record
from .pipeline import Step as Step
from .rewriting import Rewrite as Rewrite
from .rewriting import require as require
from .rewriting import rewrite as rewrite
from .rewriting import waive as waive
from .runtime.equivalence import Report as Report
from .runtime.equivalence import check as check
from .runtime.tolerance import Tolerance as Tolerance
from .source import open_source as open_source
from .spec import Network as Network
from .spec import build as build
from .spec import expand as expand
from .spec.emit import Emitter as Emitter
from .spec.layers import Field as Field
from .spec.layers import Layer as Layer
from .tape import Tape as Tape
from .view import Refusal as Refusal
from .view import View as View
from .view import constant as constant

__version__: str
