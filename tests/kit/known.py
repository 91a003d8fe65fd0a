"""A vulnerability that is known of a package, where how it came to be known is of no interest."""

from __future__ import annotations

from packhouse.core.db import Unit
from tests.kit.house import House


async def found_in(house: House, key: str) -> None:
    """Let a vulnerability be found in version 1.0 of the package."""

    async def work(unit: Unit) -> None:
        number = await unit.fetch_value(
            "INSERT INTO vulnerability (key, kind, exploited, summary, body) VALUES (:key, 'vulnerability', FALSE, '',"
            " :body) RETURNING id",
            key=key,
            body=b"",
        )
        await unit.execute(
            "INSERT INTO finding (family, name, version, vulnerability_id, advisory_id, fixed_in, evidence)"
            " VALUES ('conda', 'one', '1.0', :number, 0, '', '')",
            number=number,
        )

    await house.services.db.write(work)
