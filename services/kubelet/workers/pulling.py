"""Images of a pod's containers: at hand, or pulled by their policy with the pod's secrets."""

from pilothouse.services.kubelet.images.keyring import Entry, InvalidSecret, Keyring
from pilothouse.services.kubelet.images.used import ImageAccess
from pilothouse.services.kubelet.parts import Parts, reference
from pilothouse.services.kubelet.pod.memory import Memory
from pilothouse.services.kubelet.pod.views import Container, Pod, full_name
from pilothouse.services.kubelet.ports import Image, PullSecret
from pilothouse.services.machinery import images
from pilothouse.services.machinery.errors import ApiError, InternalError
from pilothouse.services.machinery.images import InvalidReference
from pilothouse.services.machinery.objects import Key

NEVER = "ErrImageNeverPull"
PULL = "ErrImagePull"
BACK_OFF = "ImagePullBackOff"
INVALID_NAME = "InvalidImageName"
INSPECT = "ImageInspectError"
CONFIG_ERROR = "CreateContainerConfigError"
MOUNT = "CreateContainerError"
PULL_TOLD_SECONDS = 2.0
"""A failed pull is told for this long before the back-off after it is."""


class _Failed(Exception):
    """Why there is no image: the reason of the container's state, and its message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Puller:
    """For one pod; what fails is remembered as a trouble and told as an event."""

    def __init__(self, parts: Parts, memory: Memory) -> None:
        self._parts = parts
        self._memory = memory
        self._refused: dict[str, str] = {}
        self._access = ImageAccess(parts.pulled, parts.pulled_policy, parts.clock)

    async def ensure(self, pod: Pod, spec: Container) -> None:
        """Find the image, or pull it, by the container's policy."""
        try:
            found = await self._provide(pod, spec, spec.image, spec.image_pull_policy)
            self._check_user(pod, spec, found)
            await self._provide_volumes(pod, spec)
        except _Failed as failed:
            self._note(pod, spec, "Warning", "Failed", f"Error: {self._told(failed)}")
            self._memory.trouble(
                spec.name, failed.reason, failed.message, self._parts.clock.now(),
                is_pull=failed.reason == PULL,
            )  # fmt: skip
            return
        self._memory.images[spec.name] = found.ref

    async def back_off(self, pod: Pod, spec: Container) -> None:
        """After a pull that failed: say so for a moment, then that the next one waits."""
        trouble = self._memory.trouble_with(spec.name)
        if trouble is None or trouble.reason != PULL:
            return
        clock = self._parts.clock
        await clock.sleep(min(PULL_TOLD_SECONDS, trouble.until - clock.now()))
        text = f'Back-off pulling image "{self._refused.get(spec.name, spec.image)}"'
        self._note(pod, spec, "Normal", "BackOff", text)
        self._note(pod, spec, "Warning", "Failed", f"Error: {BACK_OFF}")
        self._memory.reword(spec.name, BACK_OFF, f"{text}: {PULL}: {trouble.message}")

    async def _provide_volumes(self, pod: Pod, spec: Container) -> None:
        """Images that the container sees as volumes."""
        mounted = {mount.name for mount in spec.volume_mounts}
        for volume in pod.spec.volumes:
            if volume.image is None or volume.name not in mounted:
                continue
            image = volume.image
            found = await self._provide(pod, spec, image.reference, image.pull_policy)
            self._memory.volume_images[image.reference] = found.ref
            if self._parts.image_volumes is None:
                continue
            try:
                await self._parts.image_volumes.mount(pod.uid, volume.name, image.reference)
            except ApiError as error:
                text = f'MountVolume.SetUp failed for volume "{volume.name}" : {error.message}'
                raise self._failed(pod, spec, "FailedMount", MOUNT, text) from None

    async def _provide(self, pod: Pod, spec: Container, image: str, policy: str) -> Image:
        """The image for one container of the pod; _Failed, after the event that says why."""
        try:
            name = images.parse(image)
        except InvalidReference as error:
            text = f'Failed to apply default image tag "{image}": couldn\'t parse image name '
            raise self._failed(
                pod, spec, "InspectFailed", INVALID_NAME, f'{text}"{image}": {error}'
            ) from None
        try:
            found = await self._parts.images.find(image)
        except ApiError as error:
            text = f'Failed to inspect image "{image}": {error.message}'
            raise self._failed(pod, spec, "InspectFailed", INSPECT, text) from None
        present = found is not None and policy != "Always"
        if policy == "Never" and found is None:
            text = f'Container image "{image}" is not present with pull policy of Never'
            raise self._failed(pod, spec, NEVER, NEVER, text)
        try:
            fitting = Keyring(await self._secrets(pod)).lookup(name.repository)
            if found is not None and present and self._access.may_use(name, found, fitting):
                text = f'Container image "{image}" already present on machine'
                text += " and can be accessed by the pod"
                self._note(pod, spec, "Normal", "Pulled", text)
                return found
            if policy != "Never":
                return await self._pull(pod, spec, image, fitting)
        except (ApiError, InvalidSecret) as error:
            text = f'Failed to pull image "{image}": {error}'
            self._note(pod, spec, "Warning", "Failed", text)
            self._refused[spec.name] = image
            raise _Failed(PULL, str(error)) from None
        text = f'Container image "{image}" is present with pull policy of Never but does not have '
        text += "the proper credentials to access the image"
        raise self._failed(pod, spec, NEVER, NEVER, text)

    async def _pull(self, pod: Pod, spec: Container, image: str, fitting: list[Entry]) -> Image:
        """With each of the credentials that fit, or as nobody where none does."""
        clock = self._parts.clock
        self._note(pod, spec, "Normal", "Pulling", f'Pulling image "{image}"')
        waited = clock.monotonic()
        async with self._parts.pulling:
            began = clock.monotonic()
            found = await self._try(image, fitting or [None])
            ended = clock.monotonic()
        text = f'Successfully pulled image "{image}" in {ended - began:.3f}s'
        text += f" ({ended - waited:.3f}s including waiting). Image size: {found.size} bytes."
        self._note(pod, spec, "Normal", "Pulled", text)
        return found

    async def _try(self, image: str, fitting: list[Entry] | list[None]) -> Image:
        problems: list[ApiError] = []
        with self._access.pulling(images.parse(image)) as tell:
            for one in fitting:
                try:
                    found = await self._parts.images.pull(image, one and one.credentials)
                except ApiError as error:
                    problems.append(error)
                else:
                    tell(found, one)
                    return found
        if len(problems) == 1:
            raise problems[0]
        raise InternalError(f"[{', '.join(error.message for error in problems)}]")

    async def _secrets(self, pod: Pod) -> list[PullSecret]:
        """The pod's; what is missing is told, and the pull goes on without."""
        found, missing = [], []
        for named in pod.spec.image_pull_secrets:
            if not named.name:
                continue
            key = Key(pod.metadata.namespace, named.name)
            try:
                found.append(await self._parts.cluster.pull_secret(key))
            except ApiError:
                missing.append(named.name)
        if missing:
            text = f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
            text += "attempting to pull the image may not succeed."
            self._parts.notes.note(
                reference(pod), "Warning", "FailedToRetrieveImagePullSecret", text
            )
        return found

    def _check_user(self, pod: Pod, spec: Container, image: Image) -> None:
        """Unless ``runAsNonRoot`` is not asked for, or holds."""
        own, shared = spec.security_context, pod.spec.security_context
        wish = shared.run_as_non_root if own.run_as_non_root is None else own.run_as_non_root
        user = shared.run_as_user if own.run_as_user is None else own.run_as_user
        user = image.user if user is None else user
        if not wish or (user is not None and user != 0):
            return
        text = "container has runAsNonRoot and image will run as root"
        if (shared.run_as_user if own.run_as_user is None else own.run_as_user) == 0:
            text = "container's runAsUser breaks non-root policy"
        elif user is None and image.user_name:
            text = f"container has runAsNonRoot and image has non-numeric user ({image.user_name})"
            text += ", cannot verify user is non-root"
        raise _Failed(CONFIG_ERROR, f'{text} (pod: "{full_name(pod)}", container: {spec.name})')

    def _failed(self, pod: Pod, spec: Container, event: str, reason: str, message: str) -> _Failed:
        self._note(pod, spec, "Warning", event, message)
        return _Failed(reason, message)

    def _told(self, failed: _Failed) -> str:
        return failed.message if failed.reason == CONFIG_ERROR else failed.reason

    def _note(self, pod: Pod, spec: Container, type_: str, reason: str, message: str) -> None:
        self._parts.notes.note(reference(pod, spec), type_, reason, message)
