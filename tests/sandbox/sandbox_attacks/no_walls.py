"""Preloaded into a server, makes it believe that its kernel has neither Landlock nor system call filters."""

from model_discovery.sandbox import landlock, seccomp

landlock.abi = lambda: 0
seccomp.supported = lambda: False
