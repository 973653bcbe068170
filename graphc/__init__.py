"""graphc: a declarative graph compiler that knows what training costs.

The public names stand in `__init__.pyi`, for type checkers and for the lazy loader alike: each is imported when it
is first used, so that `import graphc` is cheap.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
