"""How others reach the daemon: ZeroMQ and the page."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from semdaemon.settings.section import Section, is_local_endpoint


class Publish(Section):
    """ZeroMQ and the page."""

    endpoint: str = Field("tcp://127.0.0.1:5570", description="PUB socket; '' publishes nothing.")
    control: str = Field("tcp://127.0.0.1:5571", description="ROUTER socket: replay and status; '' is off.")
    insecure: bool = Field(False, description="Allow addresses other than this machine without CURVE.")
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
    def _loopback(self) -> Publish:
        for value in (self.endpoint, self.control):
            if not self.insecure and not is_local_endpoint(value):
                raise ValueError(
                    f"{value} can be reached from other machines; keep to 127.0.0.1 or set insecure = true"
                )
        return self


class Page(Section):
    """The live web page, metrics and health."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(8570, ge=0, le=65535)
    pictures_bytes: int = Field(64 * 2**20, gt=0, description="Pictures kept in memory, bytes.")

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if value not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("the page has no access control yet: keep to 127.0.0.1, ::1 or localhost")
        return value
