"""How others reach the daemon: ZeroMQ and the page."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from semdaemon.settings.section import Curve, Section, curve_of, is_loopback, require_guarded


class Publish(Section):
    """ZeroMQ and the page."""

    endpoint: str = Field("tcp://127.0.0.1:5570", description="PUB socket; '' publishes nothing.")
    control: str = Field("tcp://127.0.0.1:5571", description="ROUTER socket: replay and status; '' is off.")
    insecure: bool = Field(False, description="Allow addresses other than this machine without CURVE.")
    curve_secret_file: str = Field(
        "", description="The server's own CURVE key (server.key_secret, see 'semdaemon keys'); '' is off."
    )
    curve_allowed: str = Field(
        "", description="Folder of the public keys (*.key) let in; changes count without a restart."
    )
    connections: int = Field(256, ge=1, le=10_000, description="Most connections at a time, for each socket.")
    queue_bytes: int = Field(64 * 2**20, gt=0, description="Most that waits to be sent, bytes.")
    replay_bytes: int = Field(64 * 2**20, ge=0, description="What the replay store holds, bytes.")
    subscriber_messages: int = Field(
        64,
        ge=1,
        description="Messages kept for one slow subscriber; then it loses new ones, and sees the gap.",
    )
    heartbeat_s: float = Field(1.0, gt=0)
    preview: bool = True
    preview_px: int = Field(1024, ge=64, le=8192, description="Longest side of a preview, pixels.")

    @field_validator("endpoint", "control")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        if value and not value.startswith(("tcp://", "ipc://", "inproc://")):
            raise ValueError("expected an address such as tcp://127.0.0.1:5570, or '' for none")
        return value

    @model_validator(mode="after")
    def _guarded(self) -> Publish:
        require_guarded((self.endpoint, self.control), self.curve, self.insecure)
        return self

    @property
    def curve(self) -> Curve | None:
        """The key files, None where CURVE is off."""
        return curve_of(self.curve_secret_file, self.curve_allowed)


class Page(Section):
    """The live web page, metrics and health."""

    enabled: bool = True
    host: str = Field("127.0.0.1", description="Another address than this machine's own needs token_file.")
    port: int = Field(8570, ge=0, le=65535)
    token_file: str = Field(
        "",
        description="File with the token that the page asks for ('semdaemon keys token'); '' asks for none.",
    )
    names: tuple[str, ...] = Field(
        (), description="Further names under which browsers reach this machine; they count with a token only."
    )
    pictures_bytes: int = Field(64 * 2**20, gt=0, description="Pictures kept in memory, bytes.")

    @model_validator(mode="after")
    def _guarded(self) -> Page:
        if not self.token_file and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host} can be reached from other machines: set page.token_file "
                "('semdaemon keys token'), or keep to 127.0.0.1, ::1 or localhost"
            )
        return self
