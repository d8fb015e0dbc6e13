import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from docrag import resources

ROOT = Path(__file__).parents[2]


def test_presets_are_found_by_name():
    assert resources.folder("configs").is_dir()
    assert resources.names("configs", ".yaml") == sorted(
        path.stem for path in (ROOT / "configs").glob("*.yaml")
    )
    assert "local" in resources.names("configs", ".yaml")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    (path,) = WheelBuilder(str(ROOT)).build(
        directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"]
    )
    with zipfile.ZipFile(path) as wheel:
        return set(wheel.namelist())


@pytest.mark.parametrize("kind", ["configs", "prompts"])
def test_the_wheel_holds_every_resource_where_the_package_looks(wheel_names: set[str], kind: str):
    files = [path for path in (ROOT / kind).rglob("*") if path.is_file()]
    assert files
    assert {
        f"docrag/_data/{kind}/{path.relative_to(ROOT / kind).as_posix()}" for path in files
    } <= wheel_names


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel_names: set[str]):
    assert "docrag/py.typed" in wheel_names
    assert {name.partition("/")[0].partition("-")[0] for name in wheel_names} == {"docrag"}
