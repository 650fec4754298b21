"""Commands `registry domains`: sets of domains, their training, and domains of prompts."""

from __future__ import annotations

import click

from registry.cli.domains.classify import classify
from registry.cli.domains.domain_sets import import_, list_, show
from registry.cli.domains.domain_training import train
from registry.cli.domains.experts import experts, route
from registry.cli.domains.finetune import finetune


@click.group()
def domains() -> None:
    """Tell domains of prompts apart, and list the expert of each.

    \b
    Examples:
      registry domains train
      registry domains classify "What is the derivative of x^2?"
      registry domains route "What is the derivative of x^2?" --tier 8B
    """


for command in (list_, show, import_, train, classify, experts, route, finetune):
    domains.add_command(command)
