"""Ask the API server who a token is, and who may ask this kubelet what."""

from pilothouse.services.runtime.door.reviews import Reviews
from pilothouse.services.runtime.door.users import User


class NodeReviews:
    """The reviews of one node's subresources. Calls raise ApiError when nobody answers."""

    def __init__(self, reviews: Reviews, node: str) -> None:
        self._reviews = reviews
        self._node = node

    async def user_of(self, token: str) -> User | None:
        """Whose token this is; None when nobody's."""
        return await self._reviews.user_of(token)

    async def allows(self, user: User, verb: str, subresource: str) -> bool:
        """Whether this user may do that to this node."""
        attributes = {
            "version": "v1",
            "resource": "nodes",
            "name": self._node,
            "subresource": subresource,
            "verb": verb,
        }
        return await self._reviews.allows(user, "resourceAttributes", attributes)
