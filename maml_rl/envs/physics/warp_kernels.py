"""Our own kernels between MuJoCo Warp's. Written in Warp's dialect of Python, which it compiles."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false
# To pyright Warp's arrays are types of their annotations alone.

import mujoco_warp as mjw
import warp as wp

MAX_VALUE = 1e10  # of position, velocity, acceleration, control: beyond it MuJoCo counts a simulation as unstable
PLANE, CAPSULE = wp.constant(int(mjw.GeomType.PLANE)), wp.constant(int(mjw.GeomType.CAPSULE))
MIN_LENGTH = 1e-5  # of a tangent that rounding alone has not made


@wp.kernel
def settle(
    qpos_before: wp.array2d[float],
    qvel_before: wp.array2d[float],
    ctrl: wp.array2d[float],
    qacc: wp.array2d[float],
    unstable: wp.array[bool],
    qpos: wp.array2d[float],
    qvel: wp.array2d[float],
    qacc_warmstart: wp.array2d[float],
):
    """Put worlds that have become unstable, now or earlier, back into their state before the step.

    qpos*: [W, nq], qvel*, qacc*: [W, nv], ctrl: [W, nu]. unstable: [W].
    """
    world = wp.tid()
    faults = int(0)  # noqa: RUF046, UP018 - to Warp a plain 0 is a constant
    for i in range(qpos.shape[1]):
        if not wp.abs(qpos[world, i]) < MAX_VALUE:  # nor is NaN
            faults += 1
    for i in range(qvel.shape[1]):
        if not (wp.abs(qvel[world, i]) < MAX_VALUE and wp.abs(qacc[world, i]) < MAX_VALUE):
            faults += 1
    for i in range(ctrl.shape[1]):
        if not wp.abs(ctrl[world, i]) < MAX_VALUE:
            faults += 1
    if faults > 0:
        unstable[world] = True
    if unstable[world]:
        for i in range(qpos.shape[1]):
            qpos[world, i] = qpos_before[world, i]
        for i in range(qvel.shape[1]):
            qvel[world, i] = qvel_before[world, i]
            qacc_warmstart[world, i] = 0.0


@wp.kernel
def align_frames(
    geom_type: wp.array[int],
    geom_xmat: wp.array2d[wp.mat33],
    num_contacts: wp.array[int],
    contact_geom: wp.array[wp.vec2i],
    contact_world: wp.array[int],
    contact_frame: wp.array[wp.mat33],
):
    """Turn the tangents of a capsule's contacts with a plane into the capsule's direction, as MuJoCo has them.

    MuJoCo Warp takes fixed tangents for capsules within 30 degrees of the normal, such as the ant's legs (its function
    is MJX's, github.com/google-deepmind/mujoco/issues/2774). The friction pyramid turns with the tangents.

    geom_xmat: [W, ngeom]. num_contacts: [1]. contact_*: [room for contacts].
    """
    contact = wp.tid()
    if contact >= num_contacts[0]:
        return
    geoms = contact_geom[contact]
    if geoms[0] < 0 or geom_type[geoms[0]] != PLANE or geom_type[geoms[1]] != CAPSULE:
        return
    rotation = geom_xmat[contact_world[contact], geoms[1]]
    axis = wp.vec3(rotation[0, 2], rotation[1, 2], rotation[2, 2])
    frame = contact_frame[contact]
    normal = wp.vec3(frame[0, 0], frame[0, 1], frame[0, 2])
    tangent = axis - wp.dot(axis, normal) * normal
    if wp.length(tangent) > MIN_LENGTH:
        tangent = wp.normalize(tangent)
        contact_frame[contact] = wp.matrix_from_rows(normal, tangent, wp.cross(normal, tangent))
