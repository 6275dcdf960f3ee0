"""A part of a stage's work: what is computed at once, and what it is computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from mrs_assets.boundary.reading import InputReader
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Inputs, Stage
from mrs_assets.planning.felt import Replay
from mrs_resources.breaker import Breaker
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, Transaction


@dataclass(frozen=True)
class Part:
    """What is computed at once.

    Attributes:
        stage: what computes.
        scope: what its rows answer for.
        reader: reads its inputs.
        replay: what it is a part of, where it is of one.
    """

    stage: Stage
    scope: Scope
    reader: InputReader
    replay: Replay | None = None

    @property
    def provenance(self) -> Provenance:
        """Who computes."""
        return self.reader.provenance

    def newest_write(self, tx: Transaction) -> datetime | None:
        """When any of the logs that it reads was written last; None: never."""
        return tx.newest_write(*(i.contract for i in self.stage.reads))

    def is_out_of_date(self, tx: Transaction, look: Look) -> bool:
        """Whether rows that it may read were written since it looked.

        Of what a stage wants, every row of the retailer counts: whether a feed is late depends on its newest.
        """
        if self.newest_write(tx) == look.seen:
            return False
        near = self.scope if self.stage.span == "store" else replace(self.scope, stores=None)
        read = [(need.contract, need.around(near)) for need in self.stage.needs.values()]
        wanted = [want.log.contract for want in self.stage.wants.values() if want.log is not None]
        read += [(contract, replace(EVER, retailer=self.scope.retailer)) for contract in wanted]
        return any(tx.wrote_since(contract, where, look.seen) for contract, where in read)


@dataclass(frozen=True)
class Look:
    """What a part is computed from, all of one instant.

    Attributes:
        inputs: what was read.
        seen: when the newest row of the logs read was written; None: there was none.
        breaker: whether the stage is to be tried at all.
    """

    inputs: Inputs
    seen: datetime | None
    breaker: Breaker
