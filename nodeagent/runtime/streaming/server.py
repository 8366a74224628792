from nodeagent.runtime.sessions import Sessions


class StreamingServer:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def start(self, address: str) -> str:
        return "http://127.0.0.1:1"

    async def stop(self) -> None:
        return None
