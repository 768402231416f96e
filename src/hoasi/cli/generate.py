"""Hall (floor 6): the command `generate`, and how every command that makes something does so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoasi.ask import Ask
from hoasi.cli.answer import Answer, made
from hoasi.cli.consent import ask_person
from hoasi.cli.frame import Call, call_of, run
from hoasi.cli.watch import watched
from hoasi.cli.words import check_numbers, listed, located, loras, options, references
from hoasi.errors import WrongInput
from hoasi.messages import money, say
from hoasi.records import Generation

if TYPE_CHECKING:
    from hoasi.answers import Reply
    from hoasi.studio import Studio

SOURCE, PICTURE, PLACE, SAFETY = (f"help.heads.{name}" for name in ("source", "picture", "place", "safety"))
Text = str | None
Texts = list[str] | None


def generate(
    context: typer.Context,
    *,
    prompt: Annotated[Text, typer.Option("--prompt", help="help.prompt", rich_help_panel=SOURCE)] = None,
    prompts_toml: Annotated[
        Text, typer.Option("--prompts-toml", help="help.prompts_toml", metavar="FILE", rich_help_panel=SOURCE)
    ] = None,
    creative_plan: Annotated[
        Text, typer.Option("--from-creative-plan", help="help.creative_plan", metavar="FILE", rich_help_panel=SOURCE)
    ] = None,
    scene_ids: Annotated[
        Texts, typer.Option("--scene-id", help="help.scene_ids", metavar="ID[,ID]", rich_help_panel=SOURCE)
    ] = None,
    all_scenes: Annotated[bool, typer.Option("--all-scenes", help="help.all_scenes", rich_help_panel=SOURCE)] = False,
    vds_path: Annotated[
        Text, typer.Option("--vds-path", help="help.vds_path", metavar="FILE", rich_help_panel=SOURCE)
    ] = None,
    provider: Annotated[
        Text, typer.Option("--provider", help="help.provider", metavar="NAME", rich_help_panel=PICTURE)
    ] = None,
    model: Annotated[Text, typer.Option("--model", help="help.model", metavar="ID", rich_help_panel=PICTURE)] = None,
    num_images: Annotated[
        int | None, typer.Option("--num-images", help="help.num_images", metavar="N", rich_help_panel=PICTURE)
    ] = None,
    references: Annotated[
        Texts, typer.Option("--reference-images", help="help.references", metavar="A,B", rich_help_panel=PICTURE)
    ] = None,
    avatar: Annotated[
        Text, typer.Option("--avatar", help="help.avatar.use", metavar="ID", rich_help_panel=PICTURE)
    ] = None,
    aspect_ratio: Annotated[
        Text, typer.Option("--aspect-ratio", help="help.aspect_ratio", metavar="W:H", rich_help_panel=PICTURE)
    ] = None,
    resolution: Annotated[Text, typer.Option("--resolution", help="help.resolution", rich_help_panel=PICTURE)] = None,
    output_format: Annotated[
        Text, typer.Option("--output-format", help="help.output_format", rich_help_panel=PICTURE)
    ] = None,
    negative_prompt: Annotated[
        Text, typer.Option("--negative-prompt", help="help.negative_prompt", rich_help_panel=PICTURE)
    ] = None,
    style: Annotated[Text, typer.Option("--style", help="help.style", metavar="NAME", rich_help_panel=PICTURE)] = None,
    loras: Annotated[
        Texts, typer.Option("--lora", help="help.styles.lora", metavar="NAME[:W][@URL]", rich_help_panel=PICTURE)
    ] = None,
    film_lora: Annotated[
        Text, typer.Option("--film-lora", help="help.styles.film", metavar="NAME[:W][@URL]", rich_help_panel=PICTURE)
    ] = None,
    options: Annotated[
        Texts, typer.Option("--option", help="help.styles.option", metavar="NAME=VALUE", rich_help_panel=PICTURE)
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="help.seed", metavar="N", rich_help_panel=PICTURE)] = None,
    job_id: Annotated[Text, typer.Option("--job", help="help.job", metavar="ID", rich_help_panel=PLACE)] = None,
    output_dir: Annotated[
        Text, typer.Option("--output-dir", help="help.output_dir", metavar="DIR", rich_help_panel=PLACE)
    ] = None,
    report_toml: Annotated[
        Text, typer.Option("--report-toml", help="help.report_toml", metavar="FILE", rich_help_panel=PLACE)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="help.dry_run", rich_help_panel=SAFETY)] = False,
    max_cost_usd: Annotated[
        float | None, typer.Option("--max-cost-usd", help="help.max_cost_usd", metavar="USD", rich_help_panel=SAFETY)
    ] = None,
    max_images: Annotated[
        int | None, typer.Option("--max-images", help="help.max_images", metavar="N", rich_help_panel=SAFETY)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="help.overwrite", rich_help_panel=SAFETY)] = False,
    resubmit: Annotated[bool, typer.Option("--resubmit", help="help.resubmit", rich_help_panel=SAFETY)] = False,
    consent: Annotated[
        Text, typer.Option("--consent", help="help.consent_words", metavar="TEXT", rich_help_panel=SAFETY)
    ] = None,
    no_faces: Annotated[bool, typer.Option("--no-faces", help="help.no_faces", rich_help_panel=SAFETY)] = False,
) -> Answer:
    """Make pictures from one source. Costs money at a provider that does; a rerun buys nothing again."""
    given = dict(locals())
    del given["context"], given["dry_run"]
    call = call_of(context)
    ask = asked(call, given)
    return preview(call, ask) if dry_run else paint(call, ask)


def asked(call: Call, given: dict[str, Any]) -> Ask:
    """The options as an `Ask`: paths as the shell means them, lists taken apart.

    Raises:
        WrongInput: options that contradict each other, or say nothing.
    """
    root = call.settings().workspace
    check_numbers(given)
    if given["consent"] is not None and (not given["consent"].strip() or given["no_faces"]):
        raise WrongInput("usage_consent")
    for name in ("prompts_toml", "creative_plan", "vds_path", "output_dir", "report_toml"):
        given[name] = located(given[name], root)
    given["scene_ids"] = listed(given["scene_ids"])
    given["references"] = references(given["references"], root)
    given["loras"] = loras(given["loras"], given.pop("film_lora"))
    given["options"] = options(given["options"])
    return Ask(**given, by="cli", client="hoasi")


def preview(call: Call, ask: Ask) -> Answer:
    """The plan and its price; nothing is done."""

    async def plan() -> Answer:
        async with call.studio() as studio:
            return Answer(await studio.preview(ask), tells_entries=True)

    return run(plan())


def paint(call: Call, ask: Ask) -> Answer:
    """Ask for a permission that is missing, where somebody can be asked; then make the pictures."""
    ask_person(call, ask)
    return run(_paint(call, ask))


async def _paint(call: Call, ask: Ask) -> Answer:
    async with call.studio() as studio:
        return made(await painted(call, studio, ask))


async def painted(call: Call, studio: Studio, ask: Ask) -> Reply:
    """Begin, say what is bought, and show how far it is until it has ended."""
    batch = await studio.begin(ask)
    call.screen.warn(batch.warnings)
    if not call.as_json:
        _announce(call, [g for g in studio.generations(batch.ids) if g.state.is_open and g.id not in batch.free])
    return await watched(studio, batch.ids, studio.wait(batch), call.screen, old=batch.skipped)


def _announce(call: Call, begun: Sequence[Generation]) -> None:
    """What is about to be bought, by the cards."""
    if begun:
        prices = [generation.planned.price.usd for generation in begun]
        cost = None if None in prices else sum(price for price in prices if price is not None)
        call.screen.note(say("cli.begun", count=len(begun), cost=money(cost)))
