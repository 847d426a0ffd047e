"""Environment: what an installation is. One per namespace, rendered by the chart or the supervisor."""

from typing import Annotated, ClassVar, Literal

import pydantic

from tradeplane_api import fields, status

HttpUrl = Annotated[str, pydantic.StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$", max_length=512)]
WebSocketUrl = Annotated[str, pydantic.StringConstraints(pattern=r"^wss?://[^\s/?#]+[^\s?#]*$", max_length=512)]


class BrokerUrls(fields.Block):
    """Where the broker, which is also the provider of bars, is reached."""

    trading: HttpUrl = pydantic.Field(description="Base URL of the trading interface, without /v2.")
    stream: WebSocketUrl = pydantic.Field(description="URL of the stream of trade updates.")
    data: HttpUrl = pydantic.Field(description="Base URL of the market data interface, without /v2.")
    data_stream: WebSocketUrl = pydantic.Field(description="URL of the bars' stream; its last part names the feed.")


class Broker(fields.Block):
    """The one account that this installation trades."""

    urls: BrokerUrls
    secret_ref: fields.ObjectName = pydantic.Field(
        description="Name of the Secret with key_id and secret_key of the account; only the gateway reads it."
    )


class Pool(fields.Block):
    """A Ray cluster with a role; several roles may share one address."""

    name: fields.ObjectName
    role: Literal["inference", "execution", "research"]
    address: HttpUrl = pydantic.Field(description="Ray's dashboard, such as http://ray-head:8265.")


def _encrypted_when_live(name: str, scheme: str) -> fields.Rule:
    """A key goes over this connection, so in mode live nobody may read along."""

    def url(spec: "EnvironmentSpec") -> str:
        return str(spec.broker.urls.model_dump(by_alias=True)[name])

    text = f"broker.urls.{name}: must begin with {scheme} in mode live, got "
    return fields.Rule(
        cel=f"self.mode != 'live' || self.broker.urls.{name}.startsWith('{scheme}')",
        message=f"'{text}' + self.broker.urls.{name}",
        holds=lambda spec: spec.mode != "live" or url(spec).startswith(scheme),
        describe=lambda spec: f"{text}{url(spec)}",
    )


class EnvironmentSpec(fields.Block):
    """Mode, broker, the account's policy and the pools."""

    mode: Literal["dev", "paper", "live"] = pydantic.Field(description="What the account is; immutable.")
    broker: Broker = pydantic.Field(description="Immutable.")
    risk_policy_ref: fields.ObjectName = pydantic.Field(description="RiskPolicy that judges the whole account.")
    pools: Annotated[
        tuple[Pool, ...],
        pydantic.Field(
            min_length=1,
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    read_window: fields.DurationText = pydantic.Field(
        default="5s", description="Age of the last good read of the switch above which nothing adds risk."
    )
    calendar: Literal["XNYS"] = pydantic.Field(
        default="XNYS", description="Exchange whose sessions are traded, by its market identifier code."
    )

    rules: ClassVar[tuple[fields.Rule, ...]] = (
        fields.Rule(
            cel="",
            message="",
            holds=lambda spec: len({pool.name for pool in spec.pools}) == len(spec.pools),
            describe=lambda spec: f"pools: names must be unique, got {', '.join(pool.name for pool in spec.pools)}",
        ),
        _encrypted_when_live("trading", "https://"),
        _encrypted_when_live("stream", "wss://"),
        _encrypted_when_live("data", "https://"),
        _encrypted_when_live("dataStream", "wss://"),
        fields.between("readWindow", "1s", "1m"),
    )
    fixed: ClassVar[tuple[fields.Fixed, ...]] = (fields.Fixed("mode"), fields.Fixed("broker"))

    def address(self, role: str, name: str | None = None) -> str | None:
        """Address of the named pool of a role, or of the role's first pool; None when there is none."""
        for pool in self.pools:
            if pool.role == role and name in {None, pool.name}:
                return pool.address
        return None


ClientOrderIds = Annotated[
    tuple[Annotated[str, pydantic.StringConstraints(max_length=128)], ...], pydantic.Field(max_length=500)
]


class HaltProof(fields.Block):
    """What the gateway did about the open orders, and the broker's own list afterwards."""

    complete: bool
    seen: fields.TimeText = pydantic.Field(default="", description="When the state was seen.")
    last_order_before: fields.TimeText = ""
    cancelled: ClientOrderIds = ()
    open: ClientOrderIds = pydantic.Field(default=(), description="Open at the broker in its last listing.")
    completed: fields.TimeText = ""


class GatewayEpoch(fields.Block):
    """Who leads."""

    number: Annotated[int, pydantic.Field(ge=0)]
    holder: Annotated[str, pydantic.StringConstraints(max_length=253)] = ""


class Reconciliation(fields.Block):
    """Whether local and the broker's positions, orders and cash agree."""

    clean: bool
    differences: Annotated[
        tuple[Annotated[str, pydantic.StringConstraints(max_length=512)], ...], pydantic.Field(max_length=100)
    ] = ()


class Trading(fields.Block):
    """The trading part of the status; the gateway alone writes it, by server-side apply."""

    state: Literal["enabled", "reduce-only", "flatten", "halted"]
    cause: Annotated[str, pydantic.StringConstraints(max_length=1024)] = ""
    since: fields.TimeText = ""
    proof: HaltProof | None = None
    epoch: GatewayEpoch | None = None
    reconciliation: Reconciliation | None = None


class EnvironmentStatus(fields.Block):
    """The operator writes conditions and observedGeneration, the gateway writes trading."""

    observed_generation: Annotated[int, pydantic.Field(ge=0)] = 0
    conditions: status.Conditions = ()
    trading: Trading | None = None
