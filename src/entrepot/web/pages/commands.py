"""The commands that push and pull, ready to be copied: for docker, podman and skopeo."""

Lines = tuple[tuple[str, str, str], ...]
"""Id in the page, title, command."""


def pull_commands(host: str, name: str, *, secure: bool) -> Lines:
    """How to pull *name* (with its tag or digest) from *host*. secure: whether it is reached by https."""
    tls = "" if secure else " --tls-verify=false"
    insecure = "" if secure else " --src-tls-verify=false"
    return (
        ("pull-docker", "docker", f"docker pull {host}/{name}"),
        ("pull-podman", "podman", f"podman pull{tls} {host}/{name}"),
        ("pull-skopeo", "skopeo", f"skopeo copy{insecure} docker://{host}/{name} oci:image"),
    )


def push_commands(host: str, repository: str, *, secure: bool) -> Lines:
    """How to log in to *host* and push an image called `image` to *repository*."""
    tls = "" if secure else " --tls-verify=false"
    insecure = "" if secure else " --dest-tls-verify=false"
    target = f"{host}/{repository}:1.0"
    return (
        ("push-login", "once, to sign in", f"docker login {host}"),
        ("push-docker", "docker", f"docker tag image {target} && docker push {target}"),
        ("push-podman", "podman", f"podman push{tls} image {target}"),
        ("push-skopeo", "skopeo", f"skopeo copy{insecure} oci:image docker://{target}"),
    )
