"""`load`: bring an image into a container engine; of its layers only those that the engine lacks."""

from functools import cache, partial

from dockertools_py.commands.image_argument import parser
from dockertools_py.commands.loading import Loading, add_engine, engines, platform_of, wanted_image


def run(arguments: list[str]) -> int:
    """Prints the names under which the engine has the image; exit code 0 when it has all of it."""
    options_parser = parser("load", __doc__, "in the engine")
    add_engine(options_parser)
    options_parser.add_argument("--full", action="store_true", help="send every layer, whatever the engine has")
    options_parser.add_argument("--dry-run", action="store_true", help="ask, and say what would be sent and why")
    options_parser.add_argument("--json", action="store_true", help="an event a line, as JSON")
    options = options_parser.parse_args(arguments)
    find = cache(partial(engines, options))
    wanted, found = wanted_image(options, partial(platform_of, find)), find()
    for engine in found:
        loading = Loading(engine, wanted, options.zstd, verb="load", as_json=options.json)
        plan = loading.plan(full=options.full)
        if options.dry_run:
            loading.tell(plan)
        else:
            loading.carry_out(plan)
    if not options.dry_run and not options.json:
        for reference in wanted.references:
            print(found[0].name_of(reference))
    return 0
