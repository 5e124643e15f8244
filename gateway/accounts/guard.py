"""Guessing: how often a login may be tried, and who has failed so often that the address is shut out.

An attempt is charged to its address and to the name that was typed before anything else is done for it, so
that any number of them at the same time are no more than one after the other. The name counts as it was
typed, whether anybody has it or not: limits say nothing about which names exist. An address that has tried
too often is told so; a name that was tried too often is locked for a while, and nobody can tell.

Failures only ever count against their address. No number of them ends a session, and a device on which the
owner has logged in before is counted apart from strangers who try the same name.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.accounts.device import Device
from gateway.accounts.origin import Origin
from gateway.accounts.outcome import AccountRefusal
from gateway.accounts.recording import Recorder
from gateway.accounts.rules import AccountRules, BlockRules
from gateway.model import Charge, EventKind, Limit, Principal, Reason, Verdict, canonical_name, client_key
from gateway.ports import REMEMBERED_SECONDS, Block, Blocked, BlockStore, CounterStore

_REASON: Final = "failed logins"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that may go on, and what it was charged."""

    charges: tuple[Charge, ...]
    locked_by: str | None = None
    """The limit by which the name is locked, as the audit record names it: the attempt must come to nothing,
    and nobody must be able to tell; None: it is not."""


class Guard:
    """Counts attempts and failures, and blocks addresses.

    `key` keeps typed names unreadable in memory and in the counters: now and then one is a password.
    `spares` says of an address that it is never blocked, and `taken` has a new block hold in this process
    before the answer.
    """

    def __init__(
        self,
        *,
        counters: CounterStore,
        blocks: BlockStore,
        blocked: Blocked,
        spares: Callable[[str], bool],
        taken: Callable[[Block], None],
        recorder: Recorder,
        key: bytes,
    ) -> None:
        self._counters = counters
        self._blocks = blocks
        self._blocked = blocked
        self._spares = spares
        self._taken = taken
        self._recorder = recorder
        self._now = recorder.clock.now
        self._key = key
        self._blocking: set[str] = set()
        """Addresses that are just being blocked: failures beside the last one are one block, not several."""

    async def admit(
        self, username: str, *, rules: AccountRules, origin: Origin, device: Device | None
    ) -> Attempt | AccountRefusal:
        """Charge an attempt to log in with a name, or refuse it to its address, which counts as a failure.

        `device` is given when its owner is the one who is named. Raise `StoreUnavailable` when it cannot be
        counted.
        """
        if not rules.login_limits:
            return Attempt(())
        client = client_key(origin.source_ip or "")
        who = f"name {self._digest(username)}" if device is None else f"device {device.id}"
        charges = tuple(Charge(limit, (limit.id, _part(limit, client, who))) for limit in rules.login_limits)
        verdict = await self._counters.take(charges)
        if verdict.admitted:
            return Attempt(charges)
        denying = [tally.limit for tally in verdict.tallies if tally.wait_us]
        if all(map(_counts_names, denying)):
            # None of them was charged: the address has tried all the same.
            charges = tuple(charge for charge in charges if not _counts_names(charge.limit))
            verdict = await self._counters.take(charges)
            if verdict.admitted:
                return Attempt(charges, locked_by=_rule(denying[0]))
        await self.failed(rules=rules, origin=origin)
        return _too_often(verdict)

    async def excuse(self, attempt: Attempt) -> None:
        """Give back what an attempt was charged by name: it was no guess. The address has tried all the
        same."""
        await self._counters.give_back([charge for charge in attempt.charges if _counts_names(charge.limit)])

    async def failed(self, *, rules: AccountRules, origin: Origin) -> None:
        """Count a failure against its address, and block it after one too many. Raise `StoreUnavailable`,
        `AuditUnavailable`.

        While an address is blocked nothing is counted: attempts that were on their way do not prolong it.
        """
        block, client = rules.block, origin.source_ip or ""
        if block is None or self._spares(client) or self._blocked.holds(client) is not None:
            return
        network = client_key(client)
        verdict = await self._counters.take([Charge(block.limit, (block.limit.id, network))])
        if (verdict.admitted and verdict.tallies[0].remaining > 0) or network in self._blocking:
            return
        self._blocking.add(network)
        try:
            await self._block(network, block, origin)
            # After the block it is counted anew.
            await self._counters.give_back([Charge(block.spent, (block.spent.id, network))])
        finally:
            self._blocking.discard(network)

    async def missed(
        self, principal: Principal, refusal: AccountRefusal, *, rules: AccountRules, origin: Origin
    ) -> AccountRefusal:
        """Write down a wrong password or code inside a session, or one too many, as what a failed login is,
        and return its refusal. Raise `StoreUnavailable`, `AuditUnavailable`."""
        await self._recorder.record(
            EventKind.LOGIN_FAILED,
            origin,
            actor=principal,
            reason=refusal.reason,
            attributes={"known": True, "user": principal.id},
        )
        await self.failed(rules=rules, origin=origin)
        return refusal

    async def _block(self, network: str, rules: BlockRules, origin: Origin) -> None:
        now = self._now()
        last = await self._blocks.find(network)
        if last is not None and (last.until is None or now < last.until):
            # Another process was first; this one hears of it in a moment.
            return
        is_next = last is not None and last.until is not None and now < last.until + REMEMBERED_SECONDS
        times = last.times + 1 if last is not None and is_next else 1
        block = Block(
            network=network,
            reason=_REASON,
            created_by=None,
            created_at=now,
            until=now + rules.lasts(times),
            times=times,
        )
        if not await self._blocks.put(block, now=now):
            return
        # It holds even when it cannot be recorded.
        self._taken(block)
        await self._recorder.record(
            EventKind.BLOCK_ADDED,
            origin,
            reason=Reason.ADDRESS_BLOCKED,
            # Which address, the record says of where the attempt came from.
            attributes={"reason": _REASON, "seconds": round(rules.lasts(times)), "times": times},
        )

    def _digest(self, username: str) -> str:
        name = canonical_name(username).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(name, key=self._key, digest_size=16).hexdigest()


def _part(limit: Limit, client: str, who: str) -> str:
    """Return what a limit of the login counts apart."""
    parts = [{"client_ip": client, "username": who}[name] for name in limit.per if name != "all"]
    if len(parts) == 1:
        return parts[0]
    # With its length, so that no part can pretend to be two.
    return "".join(f"{len(part)}:{part}" for part in parts)


def _counts_names(limit: Limit) -> bool:
    return "username" in limit.per


def _rule(limit: Limit) -> str:
    return f"{limit.id} {limit.place}"


def _too_often(verdict: Verdict) -> AccountRefusal:
    denying = next(tally for tally in verdict.tallies if tally.wait_us)
    return AccountRefusal(
        reason=Reason.RATE_EXCEEDED,
        diagnosis="too many attempts to log in",
        rule=_rule(denying.limit),
        retry_after=max(tally.wait_us for tally in verdict.tallies) / 1_000_000,
        tallies=verdict.tallies,
    )
