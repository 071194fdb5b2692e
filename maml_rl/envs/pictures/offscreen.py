"""OpenGL without a display: the backend that works here."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

import functools
import importlib
import os
import subprocess
import sys

BACKENDS = ("egl", "osmesa", "glfw")
PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><light/><geom size='1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 16, 16) as renderer:
    renderer.update_scene(data)
    assert renderer.render().any()
"""


class RenderingError(RuntimeError):
    """MuJoCo's pictures cannot be drawn on this machine. The message is one line with a remedy."""


@functools.cache
def use_offscreen_gl() -> str:
    """Have `mujoco.Renderer` use the first backend that renders: MUJOCO_GL's if that is set, or of BACKENDS.

    Each is tried in a process of its own, because a failed one cannot be unloaded. Returns its name. Raises
    RenderingError if none works.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if wanted and wanted not in BACKENDS:
        raise RenderingError(f"MUJOCO_GL: got {wanted!r}, allowed: {', '.join(BACKENDS)}, or unset")
    candidates = (wanted,) if wanted else BACKENDS
    for backend in candidates:
        environment = os.environ | {"MUJOCO_GL": backend}
        environment.pop("PYOPENGL_PLATFORM", None)
        try:
            probe = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, timeout=60)
        except subprocess.TimeoutExpired:
            continue
        if probe.returncode == 0:
            os.environ["PYOPENGL_PLATFORM"] = {"glfw": "glx"}.get(backend, backend)
            gl_context = importlib.import_module("mujoco.rendering.classic.gl_context")
            gl_context.GLContext = importlib.import_module(f"mujoco.{backend}").GLContext
            return backend
    raise RenderingError(
        f"no OpenGL backend renders offscreen here (tried {', '.join(candidates)}): on Debian or Ubuntu "
        "`apt install libegl1 libgl1-mesa-dri` helps, or `apt install libosmesa6` with MUJOCO_GL=osmesa"
    )
