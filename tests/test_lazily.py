"""Public names of packages that import nothing by themselves."""

import subprocess
import sys

import pytest

from jaxvlm import atoms, captioning, evaluation, ood

PACKAGES = (atoms, captioning, evaluation, ood)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_there_and_no_other(package):
    assert package.__all__ and dir(package) == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match=f"{package.__name__}.*no attribute 'nonsense'"):
        package.nonsense  # noqa: B018
    with pytest.raises(ImportError, match="nonsense"):
        exec(f"from {package.__name__} import nonsense")


def test_a_module_of_a_package_is_imported_alone():
    code = (
        "import sys\n"
        "from jaxvlm.atoms import role_config\n"
        "from jaxvlm.ood import choices, config\n"
        "assert 'jax' not in sys.modules\n"
        "from jaxvlm.atoms import pooling\n"
        "from jaxvlm import atoms\n"
        "assert atoms.pool_video is pooling.pool_video\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
