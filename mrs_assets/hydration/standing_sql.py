"""SQL for analysts' actions: which of them stand, and which subjects heard of something new."""

from __future__ import annotations

from mrs_assets.hydration.newest import IN_FORCE, LogRow, listed, newest_row_sql

_DEEPEST_UNDO = 100


def standing_sql(row: LogRow) -> list[str]:
    """Common table expressions that end in `<alias>_standing`: the live actions of an edits log that stand.

    An undo of an undo restores. Of several words about one action the last one (acted_at, annotation_id) holds. A
    policy (role `system`) takes back no person's word. Needs `WITH RECURSIVE`.
    """
    x = row.alias
    undo = "action = 'undo' AND undoes IS NOT NULL"
    return [
        *newest_row_sql(row),
        f"{x}_chain AS (SELECT annotation_id AS word, undoes AS about, 1 AS depth, acted_at, user_role FROM {x} "
        f"WHERE {undo} UNION SELECT c.word, n.undoes, c.depth + 1, c.acted_at, c.user_role FROM {x}_chain c "
        f"JOIN {x} n ON n.annotation_id = c.about WHERE n.action = 'undo' AND n.undoes IS NOT NULL "
        f"AND c.depth < {_DEEPEST_UNDO})",
        f"{x}_taken_back AS (SELECT c.about AS annotation_id FROM {x}_chain c JOIN {x} o ON o.annotation_id = c.about "
        "WHERE o.action <> 'undo' AND (c.user_role <> 'system' OR o.user_role = 'system') GROUP BY c.about "
        "HAVING arg_max(c.depth % 2 = 1, row(c.acted_at, c.word)))",
        f"{x}_standing AS (SELECT {listed(list(row.contract.schema))} FROM {x} "
        f"ANTI JOIN {x}_taken_back USING (annotation_id) WHERE action <> 'undo')",
    ]


def heard_sql(row: LogRow, subject: str, condition: str = IN_FORCE) -> list[str]:
    """Common table expressions that end in `<alias>_heard` (subject, written_at): the newest word on each subject.

    An undo is a word on the subject of what it takes back too, and a corrected action on the subject that it named
    before. Needs `WITH RECURSIVE`.

    Args:
        row: the edits log.
        subject: the column that names what an action is about.
        condition: which rows count.
    """
    x = row.alias
    return [
        f'{x}_words AS (SELECT annotation_id, "{subject}" AS subject, action, undoes, written_at '
        f"FROM {row.contract.name} WHERE {condition})",
        f"{x}_about AS (SELECT annotation_id AS word, annotation_id AS about FROM {x}_words UNION "
        f"SELECT a.word, n.undoes FROM {x}_about a JOIN {x}_words n ON n.annotation_id = a.about "
        "WHERE n.action = 'undo' AND n.undoes IS NOT NULL)",
        f"{x}_heard AS (SELECT t.subject, max(w.written_at) AS written_at FROM {x}_about a "
        f"JOIN {x}_words w ON w.annotation_id = a.word JOIN {x}_words t ON t.annotation_id = a.about "
        "GROUP BY t.subject)",
    ]
