"""``compd gate``: replay, search a little, compare with the baseline; the exit status decides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from compd.cli.interrupt import silence
from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import remembering, with_memory
from compd.cli.options.takes import takes_pair
from compd.cli.quiet import print_anyway

__all__ = ["gate"]


@takes_pair()
def gate(
    named: LayeredOptions,
    directory: o.CorpusDir = None,
    baseline: o.BaselineFile = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Default: the nearest pyproject.toml, [tool.compd.gate]."),
    ] = None,
    only_replay: Annotated[
        bool | None, typer.Option("--only-replay/--search", help="Do not search.")
    ] = None,
    min_severity: Annotated[
        float | None, typer.Option("--min-severity", help="Milder deviations do not count.")
    ] = None,
    max_new: Annotated[
        int | None, typer.Option("--max-new", help="New deviations to let pass. Default: 0.")
    ] = None,
    max_severity_rise: Annotated[
        float | None,
        typer.Option("--max-severity-rise", help="Of an accepted one. Default: 0.1."),
    ] = None,
    known_by: Annotated[
        str | None,
        typer.Option(
            "--known-by",
            help="image: each deviation is accepted on its own (default); seed: for its seed's "
            "flip, whatever the pixels.",
        ),
    ] = None,
    max_natural_disagreement: Annotated[
        float | None,
        typer.Option(
            "--max-natural-disagreement", help="Its one-sided 95 % bound on the test rows, 0..1."
        ),
    ] = None,
    max_accuracy_drop: Annotated[
        float | None, typer.Option("--max-accuracy-drop", help="Original to deployed, 0..1.")
    ] = None,
    max_class_accuracy_drop: Annotated[
        float | None, typer.Option("--max-class-accuracy-drop", help="The same of each class.")
    ] = None,
    max_negative_flips: Annotated[
        float | None,
        typer.Option(
            "--max-negative-flips",
            help="Only the original right: one-sided 95 % bound on the test rows, 0..1.",
        ),
    ] = None,
    max_class_negative_flips: Annotated[
        float | None,
        typer.Option(
            "--max-class-negative-flips", help="The same of a class, exceeded beyond chance."
        ),
    ] = None,
    max_shift_disagreement: Annotated[
        str | None,
        typer.Option(
            "--max-shift-disagreement",
            help="Bounds on shifted test rows: fog:3=0.02,contrast:5=0.05.",
        ),
    ] = None,
    guard_alpha: Annotated[
        float | None,
        typer.Option(
            "--guard-alpha", help="Disagreement that a guard has to keep, where it accepts: 0.01."
        ),
    ] = None,
    guard_min_coverage: Annotated[
        float | None,
        typer.Option("--guard-min-coverage", help="Share of test rows that it has to accept."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Seeds to search from. Default: 50.")
    ] = None,
    time: Annotated[float | None, typer.Option("--time", help="Seconds to search.")] = None,
    random_seed: Annotated[
        int | None, typer.Option("--random-seed", help="Of the search. Default: 0.")
    ] = None,
    strategy: o.SearchStrategy = None,
    goal: o.SearchGoal = None,
    eps: o.SearchEps = None,
    norm: o.SearchNorm = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Corpus for new deviations that the search finds. Default: compd-new/PAIR.",
        ),
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML.")] = None,
    sarif: Annotated[Path | None, typer.Option("--sarif", help="Write SARIF 2.1.0.")] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            "--summary", help="Append a Markdown summary. Default: $GITHUB_STEP_SUMMARY, if set."
        ),
    ] = None,
    annotate: Annotated[
        bool | None,
        typer.Option("--annotate/--no-annotate", help="Default: yes in GitHub Actions."),
    ] = None,
    json: o.JsonFile = None,
    report: o.PageFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Fail on deviations that nobody has accepted.

    Exit status: 0 clean, 1 new deviations, 2 a fault of tool or input, 3 inconclusive here.
    """
    import compd.gating as library
    from compd.cli.display import live
    from compd.cli.files import check_folder, check_outputs, find_corpus, prepare_as
    from compd.cli.pages import address_of, page_of_gate
    from compd.cli.render.gate import print_gate
    from compd.corpus import Corpus
    from compd.files.outputs import clear_output
    from compd.gating.outputs import workflow_commands, write_result

    check_outputs(json=json, junit=junit, sarif=sarif, summary=summary, report=report)
    check_folder(out)
    for path in (json, junit, sarif, report):
        if path is not None:  # what an earlier run left is not to be taken for this one's
            clear_output(path)
    store = Corpus(find_corpus(directory))
    named = with_memory(named, store.directory)
    policy, policy_from = library.find_policy(Path.cwd(), config)
    policy = policy.over(
        {
            "only_replay": only_replay,
            "min_severity": min_severity,
            "max_new": max_new,
            "max_severity_rise": max_severity_rise,
            "known_by": known_by,
            "max_natural_disagreement": max_natural_disagreement,
            "max_accuracy_drop": max_accuracy_drop,
            "max_class_accuracy_drop": max_class_accuracy_drop,
            "max_negative_flips": max_negative_flips,
            "max_class_negative_flips": max_class_negative_flips,
            "max_shift_disagreement": None
            if max_shift_disagreement is None
            else library.read_shift_limits(max_shift_disagreement),
            "guard_alpha": guard_alpha,
            "guard_min_coverage": guard_min_coverage,
            "seeds": seeds,
            "time": time,
            "random_seed": random_seed,
            "strategy": strategy,
            "goal": goal,
            "eps": o.levels(eps),
            "norm": norm,
        }
    )
    o.check_batch(batch)
    accepted_in = baseline or library.baseline_of(store.directory)
    accepted = library.Baseline.load(accepted_in, missing=baseline is None)
    record = None if policy.only_replay else library.SearchRecord.load(accepted_in)
    prepare_as(store, threads)
    if not policy.only_replay:
        library.settings_for(policy, store)  # raises, and not after minutes of training
    request = named.request()
    with live() as control:
        pair, splits = library.open_gated(store, request, policy, control)
        pair.batch = batch
        new = library.new_findings(pair, policy, out)
        found_in = None if new is None else new.directory
        with control.interruptible(), remembering(found_in, named, request):
            result = library.gate(
                pair,
                store,
                accepted,
                policy=policy,
                splits=splits,
                found=new,
                record=record,
                baseline_name=str(accepted_in),
                policy_from=policy_from,
                options=named.words,
                control=control,
            )
    failed = write_result(
        result,
        store,
        new,
        json=json,
        junit=junit,
        sarif=sarif,
        summary=summary or os.environ.get("GITHUB_STEP_SUMMARY"),
        page=None if report is None else address_of(report, os.environ),
    )
    if report is not None:
        failed += page_of_gate(report, result, store, new, pair, splits)
    try:
        print_gate(result)
        if annotate or (annotate is None and os.environ.get("GITHUB_ACTIONS") == "true"):
            for line in workflow_commands(result):
                print_anyway(line)
    except BrokenPipeError:  # that nobody reads on changes no verdict
        silence()
    if failed:
        raise failed[0]
    return result.exit_code
