"""Change the core one small step at a time, and ask the tests whether they notice.

A mutant is one changed operator, number, condition or dropped statement of a module of the core, which runs interpreted
in a process of its own. Those that no test kills must stand in ``tools/mutants.txt`` with the reason why they may live:
the exit status is 1 for a survivor that is not listed, and for a listed one that is killed or that no longer exists;
2 where the tests fail on the module as it is.
"""

import argparse
import ast
import contextlib
import copy
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / part) for part in ("crds", "operator", "workers", "tests")]
os.environ["TRADEPLANE_INTERPRETED"] = "1"
CORE = ROOT / "workers" / "tradeplane_engine" / "core"
LIST = ROOT / "tools" / "mutants.txt"
_CPU_S = 90  # that a mutant may take; one that never ends is noticed
_TOLD = 20  # mutants between two words of progress
_SHOWN = 70  # characters of a statement in a mutant's key
# What judges a module after the golden scenarios: the tests that say most first, because the first failure kills.
TESTS = {
    "ledger": (
        *("test_core_ledger.py", "test_core_corporate_actions.py", "test_core_life_cycle.py", "test_engine_rules.py"),
    ),
    "order": (
        *("test_core_orders.py", "test_core_limits_and_stops.py", "test_core_groups.py"),
        *("test_core_requests.py", "test_core_corporate_actions.py", "test_core_paths.py", "test_core_life_cycle.py"),
        "test_core_extended_hours.py",
    ),
    "limits": ("test_core_limits.py", "test_core_risk.py"),
    "gate": ("test_core_gate.py", "test_core_limits.py"),
    "risk": (
        *("test_core_book.py", "test_core_risk.py", "test_core_gate.py", "test_core_limits.py"),
        *("test_core_standing.py", "test_core_life_cycle.py"),
    ),
}
_COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult}
_NAMES = {"max": "min", "min": "max", "floor_ratio": "ceil_ratio", "ceil_ratio": "floor_ratio", "abs": "int"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where, what the statement was and is, and the changed module."""

    key: str
    line: int
    tree: ast.Module


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its source; keys do not depend on line numbers."""
    tree = ast.parse((CORE / f"{module}.py").read_text(encoding="utf-8"))
    seen: dict[str, int] = {}
    for place, (owner, statement) in enumerate(_statements(tree)):
        for words, changed in _changes(statement):
            whole = copy.deepcopy(tree)
            _, target = list(_statements(whole))[place]
            _replace(whole, target, changed)
            key = f"{module} {owner}: {_text(statement)}: {words}"
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 1:
                key += f" #{seen[key]}"
            yield Mutant(key, statement.lineno, ast.fix_missing_locations(whole))


def _statements(tree: ast.Module) -> list[tuple[str, ast.stmt]]:
    """Statements of functions with the function's name, and tables of the module, in the order of the source."""
    found: list[tuple[str, ast.stmt]] = []

    def visit(body: Sequence[ast.stmt], owner: str) -> None:
        for one in body:
            if isinstance(one, ast.ClassDef):
                visit(one.body, f"{one.name}.")
            elif isinstance(one, ast.FunctionDef):
                if one.name != "__repr__":
                    visit(one.body, f"{owner}{one.name}")
            elif owner and not owner.endswith("."):
                found.append((owner, one))
                for name in ("body", "orelse"):
                    visit(getattr(one, name, []), owner)
                for handler in getattr(one, "handlers", []):
                    visit(handler.body, owner)
            elif isinstance(one, ast.AnnAssign) and not owner:
                found.append(("the module", one))

    visit(tree.body, "")
    return found


def _changes(statement: ast.stmt) -> Iterator[tuple[str, ast.stmt]]:
    """Every changed form of one statement, with what changed; what is inside of its blocks has its own turn."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return  # a docstring
    stored = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute | ast.Subscript)
    if stored or isinstance(statement, ast.Expr | ast.AugAssign | ast.Raise | ast.Continue | ast.Break):
        yield "dropped", ast.Pass(lineno=statement.lineno, col_offset=0)
    if isinstance(statement, ast.If | ast.While):
        negated = copy.deepcopy(statement)
        negated.test = ast.UnaryOp(ast.Not(), negated.test)
        yield "negated", negated
    if isinstance(statement, ast.Raise):
        return  # the words of an error are no behaviour that a test must hold to the letter
    for place, node in enumerate(_inside(statement)):
        for new in _expressions(node):
            yield f"{ast.unparse(node)} -> {ast.unparse(new)}", _at(statement, place, new)


def _inside(statement: ast.stmt) -> list[ast.AST]:
    """Expressions of a statement without those of its blocks."""
    bare = copy.copy(statement)
    for name in ("body", "orelse", "handlers"):
        if hasattr(bare, name):
            setattr(bare, name, [])
    return [node for node in ast.walk(bare) if node is not bare]


def _at(statement: ast.stmt, place: int, new: ast.AST) -> ast.stmt:
    """A copy of a statement with its n-th expression replaced."""
    changed = copy.deepcopy(statement)
    target = _inside(changed)[place]
    for parent in ast.walk(changed):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, new)
                return changed
            if isinstance(value, list) and any(one is target for one in value):
                setattr(parent, name, [new if one is target else one for one in value])
                return changed
    raise AssertionError("every node has a parent")


def _expressions(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901 - one branch a kind of change
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[number] = _COMPARISONS[type(operator)]()
            yield changed
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield ast.BinOp(copy.deepcopy(node.left), _OPERATORS[type(node.op)](), copy.deepcopy(node.right))
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(other, copy.deepcopy(node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield copy.deepcopy(node.operand)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(copy.deepcopy(node.test), copy.deepcopy(node.orelse), copy.deepcopy(node.body))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Name | ast.Attribute) and _name(node) in _NAMES:
        changed_name = copy.deepcopy(node)
        setattr(changed_name, "id" if isinstance(changed_name, ast.Name) else "attr", _NAMES[_name(node)])
        yield changed_name
    elif isinstance(node, ast.Set) and len(node.elts) > 1:
        for number in range(len(node.elts)):
            yield ast.Set(copy.deepcopy([*node.elts[:number], *node.elts[number + 1 :]]))


def _name(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def _replace(tree: ast.Module, target: ast.stmt, changed: ast.stmt) -> None:
    for parent in ast.walk(tree):
        for name in ("body", "orelse"):
            block = getattr(parent, name, None)
            if isinstance(block, list) and any(one is target for one in block):
                setattr(parent, name, [copy.deepcopy(changed) if one is target else one for one in block])
                return


def _text(statement: ast.stmt) -> str:
    """Beginning of a statement's source."""
    return ast.unparse(statement).splitlines()[0][:_SHOWN]


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module of the core as a changed tree."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        self.name = f"tradeplane_engine.core.{module}"
        self.path = str(CORE / f"{module}.py")
        self.tree = tree

    def find_spec(self, name: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for the changed module alone."""
        del path, target
        return importlib.util.spec_from_loader(name, self, origin=self.path) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed module."""
        module.__file__ = self.path
        exec(compile(self.tree, self.path, "exec"), module.__dict__)  # noqa: S102 - the module's own source


def killed(module: str, tree: ast.Module) -> bool:
    """Say whether a test fails, or never ends, on a mutant; the tests run in a fork of this process."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
        os._exit(_judge(module, tree))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) != 0


def _judge(module: str, tree: ast.Module) -> int:
    import pytest  # noqa: PLC0415 - imported before by the parent

    sys.meta_path.insert(0, _Mutated(module, tree))
    if _golden_differs():
        return 1
    files = [ROOT / "tests" / (one if "/" in one else f"unit/{one}") for one in TESTS[module]]
    words = [*("-x", "-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:randomly"), "--import-mode=importlib"]
    words += ["-o", "addopts=", "-k", "not interpreted and not compiled"]
    with Path(os.devnull).open("w", encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
            return int(pytest.main([*words, *(str(file) for file in files if file.exists())]))


def _golden_differs() -> bool:
    """Say whether a golden scenario is another one: most mutants die here, sooner than by any test."""
    try:
        from support import scenarios  # noqa: PLC0415 - it imports the core, and with it the mutant
        from support.scenarios import golden  # noqa: PLC0415 - as above

        hashes = golden.hashes()
        return any(golden.now(name)[0] != hashes[name] for name in scenarios.ALL)
    except Exception:  # noqa: BLE001 - whatever a mutant does, it was noticed
        return True


def _prepare() -> None:
    """Import what the tests need and what has no part of the core in it, once for all mutants."""
    import hypothesis  # noqa: PLC0415 - after the environment is set
    import numpy as np  # noqa: F401, PLC0415 - as above
    import polars as pl  # noqa: F401, PLC0415 - as above
    import pytest  # noqa: F401, PLC0415 - as above

    import tradeplane_engine.core  # noqa: F401, PLC0415 - the package, which puts its own finder first
    from tradeplane_engine.data import readers  # noqa: F401, PLC0415 - as above
    from tradeplane_engine.measures import registry  # noqa: F401, PLC0415 - as above

    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutate", deadline=None, database=None, phases=phases, derandomize=True)
    hypothesis.settings.load_profile("mutate")
    if any(name.startswith("tradeplane_engine.core.") for name in sys.modules):
        raise SystemExit("a module of the core was imported before its mutants")


def reasons() -> dict[str, str]:
    """Listed survivors with their reasons: a line that begins with ``# `` is the reason of those below it."""
    found: dict[str, str] = {}
    reason = ""
    for line in LIST.read_text(encoding="utf-8").splitlines() if LIST.exists() else ():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            found[line] = reason
    return found


def main() -> int:
    """Run mutants; print survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=list(TESTS), help=f"of {', '.join(TESTS)}; all unless given")
    parser.add_argument("--only", default="", help="mutants whose key contains this")
    parser.add_argument("--known", action="store_true", help="run only the listed survivors")
    parser.add_argument("--first", type=int, default=1, help="of the chosen mutants the number to begin with")
    given = parser.parse_args()
    listed = reasons()
    _prepare()
    wrong = 0
    for module in given.modules:
        every = list(mutants(module))
        keys = {one.key for one in every}
        chosen = [one for one in every if given.only in one.key and (not given.known or one.key in listed)]
        survivors = 0
        gc.freeze()  # else every fork searches all these trees for garbage, again and again
        if killed(module, ast.parse((CORE / f"{module}.py").read_text(encoding="utf-8"))):
            print(f"{module}: its tests fail without a mutant", file=sys.stderr)
            return 2
        for number, one in enumerate(chosen[given.first - 1 :], start=given.first):
            dead = killed(module, one.tree)
            if number % _TOLD == 0:
                print(f"{module}: {number} of {len(chosen)}", file=sys.stderr, flush=True)
            survivors += not dead
            if dead == (one.key in listed):
                wrong += 1
                print(f"{'killed, but listed' if dead else 'SURVIVES'}: {one.key}  (line {one.line})", flush=True)
        gone = [key for key in listed if key.startswith(f"{module} ") and key not in keys]
        for key in gone:
            print(f"listed, but gone: {key}")
        wrong += len(gone)
        print(f"{module}: {len(chosen[given.first - 1 :])} mutants, {survivors} survive", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
