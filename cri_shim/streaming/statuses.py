"""The last word on a session: a ``metav1.Status``."""

from typing import Any

SUCCESS: dict[str, Any] = {"metadata": {}, "status": "Success"}


def of_exit(code: int) -> dict[str, Any]:
    """How a command ended."""
    if code == 0:
        return SUCCESS
    text = f"error executing command, exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {text}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def of_failure(message: str) -> dict[str, Any]:
    """It could not be run, or not to its end."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"error executing command in container: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }
