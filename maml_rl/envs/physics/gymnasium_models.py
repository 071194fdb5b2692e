"""Gymnasium's own MuJoCo models, which the families simulate."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import importlib.util
from pathlib import Path

import mujoco

from maml_rl.envs.errors import FamilyError
from maml_rl.envs.physics.quiet_mujoco import quiet_mujoco


def load_gymnasium_model(file_name: str, contact_forces: bool = False) -> mujoco.MjModel:
    """Load one of Gymnasium's own MuJoCo models, such as "half_cheetah.xml".

    contact_forces: whether MuJoCo is to compute `cfrc_ext`, which it leaves at zero unless a sensor needs it. Raises
    FamilyError before MuJoCo 4.
    """
    if int(mujoco.__version__.split(".")[0]) < 4:
        raise FamilyError(f"the families with MuJoCo's physics need mujoco>=4, found {mujoco.__version__}")
    spec = importlib.util.find_spec("gymnasium")  # finds the folder without the cost of importing the package
    assert spec is not None
    assert spec.origin is not None
    path = str(Path(spec.origin).parent / "envs" / "mujoco" / "assets" / file_name)
    with quiet_mujoco:
        if not contact_forces:
            return mujoco.MjModel.from_xml_path(path)
        model = mujoco.MjSpec.from_file(path)
        site = model.bodies[1].add_site(name="contact_forces")
        model.add_sensor(
            name="contact_forces",
            type=mujoco.mjtSensor.mjSENS_ACCELEROMETER,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname=site.name,
        )
        return model.compile()
