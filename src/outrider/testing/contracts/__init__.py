"""What every store does, as tests: subclass each contract once for each adapter.

class OnMemory:
    @pytest.fixture
    async def store(self):
        return MemoryStore()


class TestTargets(OnMemory, TargetsContract): ...
"""
