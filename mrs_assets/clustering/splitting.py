"""One cluster of a library made two, where its entries lie furthest apart in size."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from mrs_assets.clustering.features import NAMES
from mrs_assets.clustering.library import NOVEL, Library
from mrs_assets.contracts.errors import UserMistake

_AMPLITUDE = NAMES.index("log_amplitude")
_ENTRIES = 2


def split(library: Library, cluster: str, smaller: str, larger: str) -> Library:
    """The library with a cluster replaced by two.

    Its entries are put in order of their amplitude and cut at the widest gap. Entries, scales and radii stay as they
    are, so that no report of another cluster moves.

    Args:
        library: the library in force.
        cluster: id of the cluster.
        smaller: what people call its half of smaller anomalies.
        larger: what they call the other half.

    Raises:
        UserMistake: there is no such cluster, it has a single entry, or a name is none or taken.
    """
    if cluster not in library.families:
        raise UserMistake(f"There is no cluster {cluster!r}.", remedy=f"Clusters: {', '.join(library.families)}.")
    place = library.families.index(cluster)
    own = np.flatnonzero(library.family_of == place)
    if len(own) < _ENTRIES:
        raise UserMistake(f"Cluster {cluster} has a single entry.", remedy="There is nothing to cut; nothing changed.")
    ids = [_id_of(name) for name in (smaller, larger)]
    if not all(ids) or ids[0] == ids[1] or {*ids} & {NOVEL, *library.families}:
        raise UserMistake(
            f"{smaller!r} and {larger!r} cannot name two clusters.", remedy="Give two names that no cluster has."
        )
    ordered = own[np.argsort(library.entries[own, _AMPLITUDE], kind="stable")]
    gaps = np.diff(library.entries[ordered, _AMPLITUDE])
    family_of = library.family_of.copy()
    family_of[ordered[int(np.argmax(gaps)) + 1 :]] = len(library.families)
    families, names = [*library.families, ids[1]], [*library.names, larger]
    families[place], names[place] = ids[0], smaller
    return replace(library, families=tuple(families), names=tuple(names), family_of=family_of)


def _id_of(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
