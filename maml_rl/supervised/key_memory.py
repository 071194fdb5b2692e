"""A memory of keys with values, read by nearest neighbours and written as it is read (Kaiser et al. 2017, section 2).

B memories, each of which G sequences share: their examples come at the same moments. The values of a moment's examples
in one memory are different ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

EMPTY = -1.0  # the value of a slot that holds nothing


class KeyMemory(NamedTuple):
    """B memories of S slots."""

    keys: Tensor  # [B, S, D], of length 1; zeros in an empty slot
    values: Tensor  # [B, S], classes from 0, or EMPTY
    ages: Tensor  # [B, S], examples since the slot was written last


class Reading(NamedTuple):
    """What the memories say to queries [B, G, D], one of each sequence, whose values are known."""

    right: Tensor  # [B, G, D], the most similar key of the right value among the neighbours; zeros if there is none
    wrong: Tensor  # [B, G, D], likewise of a wrong value
    nearest: Tensor  # [B, G], slots of the most similar keys
    hit: Tensor  # [B, G] bool, whether the nearest key has the right value


def empty_memory(num_memories: int, slots: int, size: int, like: Tensor) -> KeyMemory:
    """Memories that hold nothing, on the device and in the dtype of `like`. size: D."""
    values = like.new_full((num_memories, slots), EMPTY)
    return KeyMemory(like.new_zeros(num_memories, slots, size), values, torch.zeros_like(values))


def read(memory: KeyMemory, queries: Tensor, values: Tensor, neighbours: int) -> Reading:
    """The neighbours are the most similar keys, and the newest one of the right value.

    queries: [B, G, D], of length 1. values: [B, G].
    """
    filled = (memory.values != EMPTY)[:, None]
    similarity = (queries @ memory.keys.transpose(1, 2)).masked_fill(~filled, -torch.inf)  # [B, G, S]
    same = filled & (memory.values[:, None] == values[..., None])
    none = torch.zeros_like(same)
    near = none.scatter(2, similarity.topk(min(neighbours, similarity.shape[2]), dim=2).indices, True)
    newest = memory.ages[:, None].where(same, torch.inf).argmin(dim=2, keepdim=True)
    near |= none.scatter(2, newest, True)
    nearest = similarity.argmax(dim=2)
    return Reading(
        _most_similar(memory, similarity, near & same),
        _most_similar(memory, similarity, near & filled & ~same),
        nearest,
        same.gather(2, nearest[..., None])[..., 0],
    )


def _most_similar(memory: KeyMemory, similarity: Tensor, allowed: Tensor) -> Tensor:
    """The most similar of the allowed keys [B, G, D]; zeros if none is. similarity, allowed: [B, G, S]."""
    best = similarity.where(allowed, -torch.inf).argmax(dim=2)
    return _at(memory.keys, best).where(allowed.any(dim=2, keepdim=True), 0.0)


def _at(keys: Tensor, slots: Tensor) -> Tensor:
    """Keys [B, G, D] of slots [B, G]."""
    return keys.gather(1, slots[..., None].expand(-1, -1, keys.shape[2]))


def write(memory: KeyMemory, queries: Tensor, values: Tensor, reading: Reading, noise: Tensor) -> KeyMemory:
    """Remember queries [B, G, D] with values [B, G], by the update rule (section 2, eq. 3 and the figure above it).

    If the nearest key has the right value, it moves to normalize(key + query). If not, the oldest slot takes query and
    value, a slot of its own for each. noise: [B, S], added to the ages when the oldest are sought. S >= G.
    """
    hit = reading.hit
    # The slots of this moment's hits are not written over: that would lose one of two examples.
    kept = torch.zeros_like(memory.ages).scatter_add(1, reading.nearest, hit.to(memory.ages.dtype)) > 0
    oldest = (memory.ages + noise).masked_fill(kept, -torch.inf).topk(values.shape[1], dim=1).indices  # [B, G]
    slots = reading.nearest.where(hit, oldest.gather(1, ((~hit).cumsum(dim=1) - 1).clamp(min=0)))
    keys = normalize(_at(memory.keys, slots) + queries, dim=2).where(hit[..., None], queries)
    return KeyMemory(
        memory.keys.scatter(1, slots[..., None].expand_as(keys), keys),
        memory.values.scatter(1, slots, values),
        (memory.ages + 1).scatter(1, slots, 0.0),
    )


def shown(
    memory: KeyMemory, queries: Tensor, values: Tensor, neighbours: int, noise: Tensor | None = None
) -> tuple[KeyMemory, Reading]:
    """The memories after sequences of T examples, and what they said to each [B, G, T, ...] before it was written.

    queries: [B, G, T, D]. values: [B, G, T]. noise: [T, B, S], as of `write`.
    """
    readings: list[Reading] = []
    for t in range(values.shape[2]):  # what is read depends on what was written
        query, value = queries[:, :, t], values[:, :, t]
        reading = read(memory, query, value, neighbours)
        memory = write(memory, query, value, reading, torch.zeros_like(memory.ages) if noise is None else noise[t])
        readings.append(reading)
    return memory, Reading(*(torch.stack(parts, dim=2) for parts in zip(*readings, strict=True)))


def class_similarity(memory: KeyMemory, queries: Tensor, ways: int) -> Tensor:
    """[B, Q, ways]: the similarity of the nearest key of each class; -1, the least of cosines, if it has none.

    queries: [B, Q, D], of length 1.
    """
    similarity = queries @ memory.keys.transpose(1, 2)  # [B, Q, S]
    classes = torch.arange(ways, device=queries.device)[:, None]
    of_class = memory.values[:, None] == classes  # [B, ways, S]
    return similarity[:, :, None].where(of_class[:, None], -1.0).amax(dim=3)
