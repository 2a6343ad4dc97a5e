"""Tokens of service accounts: issued for live accounts, accepted while what they name lives."""

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pilothouse.services.apiserver.chain.ports import Live
from pilothouse.services.apiserver.chain.tokens import (
    LEEWAY_SECONDS,
    Binding,
    Claims,
    InvalidToken,
    Signer,
    Verifier,
)
from pilothouse.services.apiserver.requests import User
from pilothouse.services.machinery import timestamps
from pilothouse.services.machinery.errors import (
    BadRequest,
    Cause,
    Conflict,
    Invalid,
    NotFound,
    Subject,
)
from pilothouse.services.machinery.kinds import identity
from pilothouse.services.machinery.objects import Key, Metadata, Object, View
from pilothouse.services.runtime.clock import Clock

LIFETIME_SECONDS = 3600
LIFETIME_SECONDS_MIN = 600
LIFETIME_SECONDS_MAX = 1 << 32
VERIFIED_MAX = 1024
# A pod may use its token for a while after its deletion was asked for.
DYING_POD_SECONDS = 60
_BOUND_KINDS = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


class _Spec(View, frozen=True, kw_only=True):
    service_account_name: str = ""
    node_name: str = ""


class _Pod(Object, frozen=True, kw_only=True):
    spec: _Spec = _Spec()


class Accounts:
    """Issues and recognizes the tokens of service accounts.

    ``used`` is told of each use of a token that is bound to a Secret.
    """

    def __init__(
        self,
        live: Live,
        signer: Signer,
        verifier: Verifier,
        clock: Clock,
        used: Callable[[Metadata], None] | None = None,
    ) -> None:
        self._used = used
        self._live = live
        self._signer = signer
        self._verifier = verifier
        self.audiences = verifier.issuers
        """Whom tokens are for when nobody says so: this server."""
        self._clock = clock
        self._verified: OrderedDict[bytes, Claims] = OrderedDict()

    async def issue(self, account: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        """The TokenRequest with its ``status`` for the ServiceAccount object ``account``."""
        spec = request.get("spec") or {}
        seconds = _lifetime(spec)
        metadata = account["metadata"]
        _check_place(request.get("metadata") or {}, metadata)
        now = int(self._clock.now())
        bound = self._bound(metadata, spec.get("boundObjectRef") or {})
        claims = Claims(
            namespace=metadata["namespace"],
            account=Binding(metadata["name"], metadata["uid"]),
            audiences=tuple(spec.get("audiences") or self.audiences),
            issued=now,
            expires=now + seconds,
            id=str(uuid.uuid4()),
            **bound,
        )
        token = await asyncio.to_thread(self._signer.sign, claims)
        answer = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", **request}
        answer["metadata"] = {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "creationTimestamp": timestamps.render(now),
        }
        answer["spec"] = {
            **spec, "audiences": list(claims.audiences), "expirationSeconds": seconds,
        }  # fmt: skip
        answer["status"] = {
            "token": token,
            "expirationTimestamp": timestamps.render(claims.expires),
        }
        return answer

    def recognize(self, token: str, audiences: Sequence[str] = ()) -> User:
        """The account that shows this token, which is for one of ``audiences``, or for us.

        Raises:
            InvalidToken: forged, expired, for somebody else, or its account or pod is gone.
        """
        audiences = audiences or self.audiences
        now = self._clock.now()
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._verified.get(digest)
        fresh = claims is not None and now < claims.expires + LEEWAY_SECONDS
        if claims is None or not fresh or not set(claims.audiences) & set(audiences):
            claims = self._verifier.verify(token, now, audiences)
            self._verified[digest] = claims
            if len(self._verified) > VERIFIED_MAX:
                self._verified.popitem(last=False)
        secret = self._require_live(claims, now)
        if secret is not None and self._used is not None:
            self._used(secret.metadata)
        return _user(claims)

    def audiences_of(self, token: str, audiences: Sequence[str]) -> list[str]:
        """Which of ``audiences`` the token is for; to be asked after :meth:`recognize`."""
        claims = self._verifier.verify(token, self._clock.now(), audiences)
        return [audience for audience in audiences if audience in claims.audiences]

    def _require_live(self, claims: Claims, now: float) -> Object | None:
        """The Secret that it is bound to, if it is."""
        space, secret = claims.namespace, None
        self._require("serviceaccounts", space, claims.account)
        if claims.secret is not None:
            secret = self._require("secrets", space, claims.secret)
            if identity.INVALID_SINCE in secret.metadata.labels:
                raise InvalidToken("nobody used it for so long that its force was taken")
        if claims.pod is not None:
            dying = self._require("pods", space, claims.pod).metadata.deletion_timestamp
            if dying is not None and now > timestamps.parse(dying) + DYING_POD_SECONDS:
                raise InvalidToken("the pod it is bound to is gone")
        elif claims.node is not None:
            self._require("nodes", "", claims.node)
        return secret

    def _require(self, plural: str, namespace: str, binding: Binding) -> Object:
        stored = self._live.find("", plural, Key(namespace, binding.name))
        if stored is not None:
            found = msgspec.json.decode(stored.json, type=Object)
            if found.metadata.uid == binding.uid:
                return found
        raise InvalidToken(f"one of the {plural} it is bound to is gone")

    def _bound(
        self, account: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> dict[str, Binding]:
        if not reference:
            return {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        plural = _BOUND_KINDS.get(kind)
        if plural is None:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{account["name"]}" to object of type '
                f"{reference.get('apiVersion', '')}, Kind={kind}"
            )
        key = Key("" if kind == "Node" else account["namespace"], name)
        stored = self._live.find("", plural, key)
        if stored is None:
            subject = Subject(kind=plural, name=name)
            raise NotFound(f'{plural} "{name}" not found', subject=subject)
        found = msgspec.json.decode(stored.json, type=_Pod if kind == "Pod" else Object)
        uid = found.metadata.uid
        if reference.get("uid") not in (None, "", uid):
            raise Conflict(
                f'Operation cannot be fulfilled on {plural} "{name}": the UID in the bound object '
                f"reference ({reference['uid']}) does not match the UID in record. The object "
                "might have been deleted and then recreated",
                subject=Subject(kind=plural, name=name),
            )
        bound = {kind.lower(): Binding(name, uid)}
        if isinstance(found, _Pod):
            if (found.spec.service_account_name or "default") != account["name"]:
                raise BadRequest(
                    f'cannot bind token for serviceaccount "{account["name"]}" to pod running '
                    "with different serviceaccount name."
                )
            bound |= self._node_binding(found.spec.node_name)
        return bound

    def _node_binding(self, name: str) -> dict[str, Binding]:
        stored = self._live.find("", "nodes", Key("", name)) if name else None
        if stored is None:
            return {}
        uid = msgspec.json.decode(stored.json, type=Object).metadata.uid
        return {"node": Binding(name, uid)}


def _check_place(given: Mapping[str, Any], account: Mapping[str, Any]) -> None:
    for member in ("name", "namespace"):
        named = given.get(member)
        if named and named != account[member]:
            why = f'Invalid value: "{named}": must match the service account {member}'
            raise _invalid(f"metadata.{member}", why)


def _lifetime(spec: Mapping[str, Any]) -> int:
    seconds = spec.get("expirationSeconds")
    if seconds is None:
        return LIFETIME_SECONDS
    if seconds < LIFETIME_SECONDS_MIN:
        why = f"Invalid value: {seconds}: may not specify a duration less than 10 minutes"
        raise _invalid("spec.expirationSeconds", why)
    if seconds > LIFETIME_SECONDS_MAX:
        why = f"Invalid value: {seconds}: may not specify a duration larger than 2^32 seconds"
        raise _invalid("spec.expirationSeconds", why)
    return int(seconds)


def _invalid(field: str, message: str) -> Invalid:
    subject = Subject(group="authentication.k8s.io", kind="TokenRequest")
    text = f'TokenRequest.authentication.k8s.io "" is invalid: {field}: {message}'
    return Invalid(text, subject=subject, causes=[Cause(field, message)])


def _user(claims: Claims) -> User:
    extra = {"authentication.kubernetes.io/credential-id": (f"JTI={claims.id}",)}
    for kind, binding in (("pod", claims.pod), ("node", claims.node)):
        if binding is not None:
            extra[f"authentication.kubernetes.io/{kind}-name"] = (binding.name,)
            extra[f"authentication.kubernetes.io/{kind}-uid"] = (binding.uid,)
    return User(
        name=f"system:serviceaccount:{claims.namespace}:{claims.account.name}",
        groups=(
            "system:serviceaccounts",
            f"system:serviceaccounts:{claims.namespace}",
            "system:authenticated",
        ),
        uid=claims.account.uid,
        extra=extra,
    )
