"""The number of contacts and constraints that a model can have at once: MuJoCo Warp needs room for them."""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's extension modules ship no stubs: to pyright the package has no attributes.

from dataclasses import dataclass
from itertools import combinations

import mujoco

PLANE, SPHERE, CAPSULE = (
    int(kind) for kind in (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE)
)
OTHER_POINTS = 8  # most contacts of two geoms that are not both of these: boxes and the like


@dataclass(frozen=True)
class Capacity:
    """The room of each world."""

    contacts: int
    constraints: int  # rows: one per limit, several per contact with friction


def largest_capacity(model: mujoco.MjModel) -> Capacity:
    """An upper bound: every two geoms that may touch do, and every joint and tendon is at its limit."""
    contacts, rows = 0, 0
    for one, other in combinations(range(model.ngeom), 2):
        if not _may_touch(model, one, other):
            continue
        points = _points(model, one, other)
        contacts += points
        condim = max(model.geom_condim[one], model.geom_condim[other])
        rows += points * (condim if model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC else max(1, 2 * (condim - 1)))
    for pair in range(model.npair):
        contacts += OTHER_POINTS
        rows += OTHER_POINTS * max(1, 2 * (model.pair_dim[pair] - 1))
    limits = model.jnt_limited.sum() + model.tendon_limited.sum()
    friction = (model.dof_frictionloss > 0).sum() + (model.tendon_frictionloss > 0).sum()
    return Capacity(int(max(1, contacts)), int(max(1, rows + limits + friction + 6 * model.neq)))


def _may_touch(model: mujoco.MjModel, one: int, other: int) -> bool:
    """Whether MuJoCo lets two geoms touch: by their masks, but never of one body, or of a body and its parent."""
    types, affinities = model.geom_contype, model.geom_conaffinity
    if not (types[one] & affinities[other] or types[other] & affinities[one]):
        return False
    bodies = [int(model.body_weldid[model.geom_bodyid[geom]]) for geom in (one, other)]
    parents = [int(model.body_weldid[model.body_parentid[body]]) for body in bodies]
    if bodies[0] == bodies[1]:
        return False
    related = parents[0] == bodies[1] or parents[1] == bodies[0]
    return not (related and 0 not in bodies)


def _points(model: mujoco.MjModel, one: int, other: int) -> int:
    """Most contacts that two geoms can have: a sphere touches in one place, a capsule at both of its ends."""
    kinds = {int(model.geom_type[geom]) for geom in (one, other)}
    if kinds - {PLANE, SPHERE, CAPSULE}:
        return OTHER_POINTS
    return 1 if SPHERE in kinds else 2
