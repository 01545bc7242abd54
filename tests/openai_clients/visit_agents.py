"""What a user of PyPI's `openai-agents` does: an agent with a tool of its own over our models, by both interfaces."""
import asyncio

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)
asked = []


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    asked.append(city)
    return "sunny"


async def main():
    client = AsyncOpenAI(max_retries=0)
    for make in (OpenAIChatCompletionsModel, OpenAIResponsesModel):
        agent = Agent(name="Guide", instructions="You know the weather.", tools=[get_weather], model=make(model="scripted", openai_client=client), model_settings=ModelSettings(temperature=0))
        result = await Runner.run(agent, "What is the weather?")
        assert result.final_output == "In Oslo: sunny.", result.final_output
        streamed = Runner.run_streamed(agent, "And the weather now?")
        async for _ in streamed.stream_events():
            pass
        assert streamed.final_output == "In Oslo: sunny.", streamed.final_output
        # A served assistant, whose own functions nobody here sees.
        clerk = Agent(name="Clerk", model=make(model="clerk", openai_client=client))
        assert (await Runner.run(clerk, "How many pears?")).final_output == "There are 5 pears."
        print("ok", make.__name__)
    assert asked == ["Oslo"] * 4, asked


asyncio.run(main())
