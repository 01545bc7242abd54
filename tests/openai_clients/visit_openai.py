"""What a user of PyPI's `openai` does, with assertions; run by test_clients.py with OPENAI_BASE_URL set."""
import asyncio

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

client = OpenAI(max_retries=0, timeout=30)
DOOR = {"type": "function", "function": {"name": "open_door", "description": "Opens a door.", "parameters": {"type": "object", "properties": {"which": {"type": "string"}}, "required": ["which"]}}}


def done(name):
    print("ok", name)


def ask(text, model="clerk", **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def models():
    names = [model.id for model in client.models.list()]
    assert {"clerk", "echo", "scripted", "server", "down"} <= set(names), names
    assert client.models.retrieve("clerk").owned_by == "assistants"
    try:
        client.models.retrieve("clark")
        raise AssertionError("there is no clark")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found" and "clerk" in str(error), error


def chat():
    raw = client.chat.completions.with_raw_response.create(model="clerk", messages=[{"role": "user", "content": "How many pears?"}])
    assert raw.headers["x-sabir-run-id"], raw.headers
    answer = raw.parse()
    assert answer.choices[0].message.content == "There are 5 pears." and answer.choices[0].finish_reason == "stop", answer
    assert answer.object == "chat.completion" and answer.model == "clerk" and answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer.model_extra["sabir"]["run"] and answer.model_extra["sabir"]["steps"] == 2, answer
    assert ask("hello", model="echo").choices[0].message.content == "You said: hello"
    assert ask("hello", model="scripted", temperature=0, max_tokens=50, seed=1, stop=["x"], user="u", metadata={"a": "b"}).choices[0].message.content == "You said: hello"
    assert ask("Speak at length", model="scripted").choices[0].finish_reason == "length"
    declined = ask("This is declined", model="scripted").choices[0]
    assert declined.finish_reason == "content_filter" and declined.message.refusal == "I cannot help with that.", declined


def chat_streamed():
    chunks = list(ask("How many pears?", stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "There are 5 pears."
    assert len({chunk.id for chunk in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.total_tokens > 0 and chunks[-2].choices[0].finish_reason == "stop", chunks[-2:]
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) > 1, "it came in pieces"
    with client.chat.completions.stream(model="scripted", messages=[{"role": "user", "content": "hello"}]) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "You said: hello"
    # One that takes longer than a head is kept back.
    assert "".join(chunk.choices[0].delta.content or "" for chunk in ask("slowly", model="scripted", stream=True)) == "At last."


def tools():
    for streamed in (False, True):
        messages = [{"role": "user", "content": "Please open the door."}]
        if streamed:
            with client.chat.completions.stream(model="clerk", messages=messages, tools=[DOOR]) as stream:
                for _ in stream:
                    pass
                message = stream.get_final_completion().choices[0].message
        else:
            answer = client.chat.completions.create(model="clerk", messages=messages, tools=[DOOR])
            assert answer.choices[0].finish_reason == "tool_calls"
            message = answer.choices[0].message
        call = message.tool_calls[0]
        assert len(message.tool_calls) == 1 and call.function.name == "open_door" and call.function.arguments == '{"which":"north"}', message
        messages += [message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}), {"role": "tool", "tool_call_id": call.id, "content": "open"}]
        answer = client.chat.completions.create(model="clerk", messages=messages, tools=[DOOR])
        assert answer.choices[0].message.content == "The door is open, and there are 5 pears.", answer


class City(BaseModel):
    city: str
    visitors: int


def structured():
    parsed = client.chat.completions.parse(model="scripted", messages=[{"role": "user", "content": "Paris as JSON"}], response_format=City)
    assert parsed.choices[0].message.parsed == City(city="Paris", visitors=3), parsed
    parsed = client.responses.parse(model="clerk", input="Paris as JSON", text_format=City)
    assert parsed.output_parsed == City(city="Paris", visitors=3), parsed


def responses():
    first = client.responses.create(model="server", input="My name is Ada", instructions="Be kind.")
    assert first.status == "completed" and first.output_text and first.usage.total_tokens > 0 and first.instructions == "Be kind.", first
    second = client.responses.create(model="server", input="And now?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert client.responses.retrieve(second.id).output_text == second.output_text
    client.responses.delete(second.id)
    try:
        client.responses.retrieve(second.id)
        raise AssertionError("it was deleted")
    except openai.NotFoundError:
        pass
    unkept = client.responses.create(model="server", input="x", store=False)
    try:
        client.responses.create(model="server", input="y", previous_response_id=unkept.id)
        raise AssertionError("it was not kept")
    except openai.NotFoundError as error:
        assert error.param == "previous_response_id", error
    assert client.responses.create(model="clerk", input="How many pears?").output_text == "There are 5 pears."
    cut = client.responses.create(model="scripted", input="at length")
    assert cut.status == "incomplete" and cut.incomplete_details.reason == "max_output_tokens", cut
    for text in ("one", "two"):
        talk = client.responses.create(model="server", input=text, conversation="conv_42")
    assert talk.conversation.id == "conv_42"


def responses_streamed():
    with client.responses.stream(model="clerk", input="How many pears?") as stream:
        types = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == "There are 5 pears." and final.status == "completed"
    assert types[0] == "response.created" and types[-1] == "response.completed" and types.count("response.output_text.delta") > 1, types


def responses_tools():
    tool = {"type": "function", "name": "open_door", "parameters": DOOR["function"]["parameters"], "strict": False}
    for streamed in (False, True):
        if streamed:
            with client.responses.stream(model="clerk", input="open the door", tools=[tool]) as stream:
                for _ in stream:
                    pass
                first = stream.get_final_response()
        else:
            first = client.responses.create(model="clerk", input="open the door", tools=[tool])
        call = next(item for item in first.output if item.type == "function_call")
        assert call.name == "open_door" and call.arguments == '{"which":"north"}', first
        answer = [{"type": "function_call_output", "call_id": call.call_id, "output": "open"}]
        second = client.responses.create(model="clerk", input=answer, previous_response_id=first.id, tools=[tool])
        assert second.output_text == "The door is open, and there are 5 pears.", second


def embeddings():
    packed = client.embeddings.create(model="scripted", input=["a red apple", "rain"], dimensions=8)
    plain = client.embeddings.create(model="scripted", input=["a red apple", "rain"], dimensions=8, encoding_format="float")
    assert [len(one.embedding) for one in packed.data] == [8, 8] and packed.usage.prompt_tokens > 0
    for a, b in zip(packed.data, plain.data):
        assert all(abs(x - y) < 1e-6 for x, y in zip(a.embedding, b.embedding))
    try:
        client.embeddings.create(model="clerk", input="a")
        raise AssertionError("an assistant gives none")
    except openai.BadRequestError as error:
        assert error.param == "model", error


def errors():
    for make, kind, said in ((lambda: ask("x", n=2), openai.BadRequestError, "n is 2"),
                             (lambda: ask("x", model="nobody"), openai.NotFoundError, "does not exist"),
                             (lambda: ask("x", model="down"), openai.InternalServerError, ""),
                             (lambda: ask("x", model="down", stream=True), openai.InternalServerError, ""),
                             (lambda: ask("please break", model="scripted"), openai.InternalServerError, "on fire"),
                             (lambda: client.chat.completions.create(model="clerk", messages=[]), openai.BadRequestError, "messages"),
                             (lambda: client.responses.create(model="clerk", input=[]), openai.BadRequestError, "input"),
                             (lambda: client.responses.create(model="clerk", input="x", tools=[{"type": "web_search"}]), openai.BadRequestError, "web_search")):
        try:
            make()
        except kind as error:
            assert said in str(error), error
            assert isinstance(error.body, dict) and error.body.get("message"), error.body
        else:
            raise AssertionError("%s did not come" % kind.__name__)


async def side_by_side():
    async with AsyncOpenAI(max_retries=0) as client_:
        answers = await asyncio.gather(*(client_.chat.completions.create(model="clerk", messages=[{"role": "user", "content": "How many pears, %d?" % i}]) for i in range(24)))
        assert all(answer.choices[0].message.content == "There are 5 pears." for answer in answers)
        # A client that leaves in the middle leaves the server well.
        stream = await client_.chat.completions.create(model="scripted", messages=[{"role": "user", "content": "tell me " * 500}], stream=True)
        async for _ in stream:
            break
        await stream.close()
    assert ask("hello", model="scripted").choices[0].message.content == "You said: hello"


for one in (models, chat, chat_streamed, tools, structured, responses, responses_streamed, responses_tools, embeddings, errors):
    one()
    done(one.__name__)
asyncio.run(side_by_side())
done("side_by_side")
