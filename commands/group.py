"""A group of commands whose help never cuts a sentence."""

import click


class Group(click.Group):
    """A group that never cuts the help of a command: a line that is too long continues below."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, each with its short help or the whole first sentence of its help."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        whole = 1 << 16
        rows = [(name, each.get_short_help_str(whole)) for name, each in found if each and not each.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
