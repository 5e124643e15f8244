"""Where limits are counted, put together."""

from pathlib import Path

from support.counting import charge, limit
from support.own_server import free_port

from gateway.assembly.counting import counting
from gateway.assembly.stores import open_stores
from gateway.settings import Settings

SHARED = limit("shared", 8, window_us=3600 * 1_000_000)


async def test_workers_that_never_reached_redis_share_the_quota(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "redis_url": f"redis://127.0.0.1:{free_port()}/0", "workers": 4}
    )
    async with open_stores(settings) as stores, counting(stores) as counted:
        assert counted.fault() is not None
        admitted = [(await counted.store.take([charge(SHARED)])).admitted for _ in range(8)]
    assert sum(admitted) == 8 // 4
