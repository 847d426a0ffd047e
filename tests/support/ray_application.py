"""A Serve application that needs nothing of ours, for the contract suite of Ray's interface."""

from typing import Any

from ray import serve


@serve.deployment(name="Predictor")
class Echo:
    """Answers with its user_config."""

    def __init__(self) -> None:
        self._config: dict[str, Any] = {}

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take a new configuration in place."""
        self._config = user_config

    async def __call__(self, _: Any) -> dict[str, Any]:
        """Answer."""
        return self._config


def build(_: dict[str, Any]) -> Any:
    """Make the application."""
    return Echo.bind()
