"""`mrs clusters`: look for new shapes among novel reports, and decide which of them get a name."""

from __future__ import annotations

import getpass
import json
from dataclasses import replace
from typing import Annotated

import polars as pl
import typer

from mrs_assets import __version__
from mrs_assets.cli.output import Format, print_rows, say
from mrs_assets.cli.session import open_settings
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.proposed_clusters import PROPOSED_CLUSTERS
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, Transaction
from mrs_resources.model_store import active_model

clusters_app = typer.Typer(help="New shapes among novel reports: find, name, turn down.", no_args_is_help=True)

DECIDED_BY = Provenance("mrs clusters", __version__)
_ONE_OF_MANY = replace(EVER, complete=False)
SHOWN = ("retailer", "proposal_id", "member_count", "stability", "suggested_name", "decision", "cluster_name")

Proposal = Annotated[str, typer.Argument(help="The proposal, as `mrs clusters list` names it.")]
Actor = Annotated[str, typer.Option("--as", help="Who decides; your login name by default.")]
Form = Annotated[Format, typer.Option("--format", help="How to print the rows.")]


@clusters_app.command("list")
def list_proposals(form: Form = Format.table) -> None:
    """Show every proposal, how stable it is, and what was decided."""
    _, warehouse = open_settings()
    with warehouse.store.looking() as tx:
        _print(tx, form)


@clusters_app.command()
def propose(form: Form = Format.table) -> None:
    """Group the novel reports that look alike; groups that were proposed before are left out."""
    from mrs_assets.clustering.library import build_library, load  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.clustering.proposals import proposed  # noqa: PLC0415
    from mrs_assets.clustering.stage import MODEL  # noqa: PLC0415

    _, warehouse = open_settings()
    with warehouse.store.transaction() as tx:
        version = active_model(tx, MODEL)
        library = load(warehouse.models.read(str(version["artefact_hash"]))) if version else build_library()
        found = proposed(tx.live(CLUSTERED), tx.live(PROPOSED_CLUSTERS), library)
        if found.height:
            tx.append(PROPOSED_CLUSTERS, found, _ONE_OF_MANY, DECIDED_BY)
        say(f"{found.height} new {'proposal' if found.height == 1 else 'proposals'}.")
        _print(tx, form)


@clusters_app.command()
def approve(
    proposal: Proposal,
    name: Annotated[str, typer.Option("--name", help="What reports of this shape are called from then on.")],
    actor: Actor = "",
) -> None:
    """Give a proposal a name. It is an entry of the next version of the library: `mrs models train cluster_library`."""
    _decide(proposal, "approved", name, actor)


@clusters_app.command()
def reject(proposal: Proposal, actor: Actor = "") -> None:
    """Turn a proposal down. The like of it is not proposed again."""
    _decide(proposal, "rejected", None, actor)


@clusters_app.command()
def split(
    cluster: Annotated[str, typer.Argument(help="Id of the cluster in the library in force.")],
    smaller: Annotated[str, typer.Option(help="What its half of smaller anomalies is called.")],
    larger: Annotated[str, typer.Option(help="What the other half is called.")],
) -> None:
    """Make two clusters of one: a version of the library that waits for `mrs models approve`."""
    from mrs_assets.clustering import splitting  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.clustering.library import build_library, dump, load  # noqa: PLC0415
    from mrs_assets.clustering.stage import MODEL  # noqa: PLC0415
    from mrs_resources.model_registry import register  # noqa: PLC0415

    _, warehouse = open_settings()
    with warehouse.store.transaction() as tx:
        version = active_model(tx, MODEL)
        library = load(warehouse.models.read(str(version["artefact_hash"]))) if version else build_library()
        made = splitting.split(library, cluster, smaller, larger)
        digest = warehouse.models.save(dump(made))
        today = tx.now.date()
        row = {"retailer": "*", "business_day": today, "model_name": MODEL, "model_version_id": digest[:12]}
        row |= {"trained_on_from": version["trained_on_from"] if version else today, "artefact_hash": digest}
        row |= {"trained_on_to": version["trained_on_to"] if version else today}
        row |= {"metrics": json.dumps({"clusters": len(made.families)})}
        register(tx, row, DECIDED_BY)
    say(
        f"Version {digest[:12]} of {MODEL} splits {cluster}; "
        f"`mrs models approve {MODEL} {digest[:12]}` puts it in force."
    )


def _decide(proposal: str, decision: str, name: str | None, actor: str) -> None:
    from mrs_assets.clustering.proposals import decided  # noqa: PLC0415 - loads the model libraries

    _, warehouse = open_settings()
    with warehouse.store.transaction() as tx:
        row = decided(tx.live(PROPOSED_CLUSTERS), proposal, decision, name, actor or getpass.getuser())
        tx.append(PROPOSED_CLUSTERS, row.with_columns(decided_at=pl.lit(tx.now)), _ONE_OF_MANY, DECIDED_BY)
        _print(tx, Format.table)


def _print(tx: Transaction, form: Format) -> None:
    print_rows(tx.live(PROPOSED_CLUSTERS).sort("retailer", "proposal_id").select(SHOWN), form)
