"""Commands that take a trained run elsewhere: into a file of another program, an archive, a container, a server."""
