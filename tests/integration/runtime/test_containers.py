"""Containers through the CRI socket: start, end, rights, limits."""




async def test_a_command_runs_and_its_exit_code_and_output_are_kept(machine) -> None:
    sandbox = await machine.sandbox()
    container = await machine.run(sandbox, ["sh", "-c", "echo out; echo err >&2; exit 3"])
    status = await machine.exited(container)
    assert (status.exit_code, status.reason) == (3, "Error")
    assert status.finished_at >= status.started_at >= status.created_at > 0
    assert machine.text(stream="stdout") == "out\n"
    assert machine.text(stream="stderr") == "err\n"
