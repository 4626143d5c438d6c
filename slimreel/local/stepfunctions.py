"""Where moto's States Language interpreter differs from Step Functions, put right.

Each replacement below names what AWS does. `patch_interpreter` installs them all, and
`Interpreter.restore` takes them back. Known to differ still: a heartbeat is first due
HeartbeatSeconds after the Lambda function returned, not after it was invoked; JSONata needs
Java; Map, Activities, Express workflows and RedriveExecution are moto's own or missing.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import math
import re
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.exceptions import AWSError, InvalidName
from moto.stepfunctions.parser import api as parser_api
from moto.stepfunctions.parser import models as parser_models
from moto.stepfunctions.parser.api import (
    ExecutionStartedEventDetails,
    ExecutionStatus,
    HistoryEventExecutionDataDetails,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.component.common.error_name import error_equals_decl
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import (
    CustomErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import (
    MaxAttemptsOutcome,
)
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import (
    EvalTimeoutError,
    TimeoutSeconds,
)
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel.branches_decl import (
    BranchesDecl,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback as callback_task,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import (
    ResourceCondition,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (  # noqa: E501
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import (
    StateTaskLambda,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval.callback import callback
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramRunning,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend import execution as executions
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.utils import TMP_THREADS
from moto.stepfunctions.responses import StepFunctionResponse

log = logging.getLogger("slimreel.local.states")

Envelope = dict[str, Any]
Emit = Callable[[Envelope], None]

#: Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
DATA_LIMIT_BYTES = 256 * 1024
#: Above this, the status event leaves input (or output) out.
#: Source: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
_EVENT_DATA_LIMIT_BYTES = 248 * 1024
#: Source: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_BAD_NAME = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")
#: States.ALL, and with it every catch-all, leaves these alone.
#: Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_TERMINAL_ERRORS = ("States.DataLimitExceeded", "States.Runtime")


def patch_interpreter(emit: Emit, *, endpoint_url: str) -> Interpreter:
    """Put the interpreter right; tasks call `endpoint_url`, status events go to `emit`."""
    return Interpreter(emit, endpoint_url=endpoint_url)


class Interpreter:
    """The patches in force. A context manager; leaving it restores moto."""

    def __init__(self, emit: Emit, *, endpoint_url: str) -> None:
        self._emit = emit
        self._endpoint_url = endpoint_url
        self._originals: list[tuple[Any, str, Any]] = []
        self._start_lock = threading.RLock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._clients_lock = threading.Lock()
        self._workers: weakref.WeakSet[ExecutionWorker] = weakref.WeakSet()
        self._tokens = _Tokens()
        self._quiet = False
        self._install()

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def restore(self) -> None:
        """End the running executions without a word, and undo every patch."""
        self._quiet = True
        workers = list(self._workers)
        for worker in workers:
            worker.env.set_stop(stop_date=datetime.now(UTC), error=None, cause=None)
        until = time.monotonic() + 3
        for worker in workers:
            worker.thread.join(max(0.0, until - time.monotonic()))
        for owner, name, original in reversed(self._originals):
            setattr(owner, name, original)
        self._originals.clear()
        for client in self._clients.values():
            client.close()

    def _replace(self, owner: Any, name: str, replacement: Any) -> None:
        self._originals.append((owner, name, getattr(owner, name)))
        setattr(owner, name, replacement)

    def _install(self) -> None:
        for setter in ("set_ended", "set_error", "set_timed_out", "set_stop"):
            self._replace(Environment, setter, _staying_awake(getattr(Environment, setter)))
        self._replace(EventManager, "add_event", _closing_with_the_end(EventManager.add_event))
        self._replace(Program, "eval", _eval_program)
        self._replace(ExecutionState, "_evaluate_with_timeout", _evaluate_with_timeout)
        self._replace(
            ExecutionState, "from_state_props", _no_short_default(ExecutionState.from_state_props)
        )
        self._replace(StateTask, "_from_error", _naming_heartbeats(StateTask._from_error))
        self._replace(
            StateTaskLambda, "_from_error", _naming_lambda_errors(StateTaskLambda._from_error)
        )
        self._replace(error_equals_decl.ErrorEqualsDecl, "_eval_body", _matches_error)
        self._replace(retrier_decl.RetrierDecl, "_eval_body", _retry)
        self._replace(WaitFunction, "_wait_interval", _wait)
        self._replace(BranchesDecl, "_eval_body", _ending_with_parent(BranchesDecl._eval_body))
        self._replace(Timestamp, "_get_wait_seconds", _seconds_until)
        endpoint, pool = callback.CallbackEndpoint, callback.CallbackPoolManager
        self._replace(
            endpoint, "setup_heartbeat_endpoint", _keeping_early(endpoint.setup_heartbeat_endpoint)
        )
        self._replace(pool, "add", self._tokens.registering(pool.add))
        self._install_api()
        for module in list(sys.modules.values()):
            in_interpreter = getattr(module, "__name__", "").startswith("moto.stepfunctions.")
            if in_interpreter and hasattr(module, "boto_client_for"):
                self._replace(module, "boto_client_for", self._client_for)

    def _install_api(self) -> None:
        for name in dir(parser_api):  # moto leaves the error code of these empty
            error: Any = getattr(parser_api, name)
            if isinstance(error, type) and issubclass(error, AWSError):
                self._replace(error, "TYPE", vars(error).get("code"))
        backend = parser_models.StepFunctionsParserBackend
        self._replace(backend, "start_execution", self._starting(backend.start_execution))
        self._replace(backend, "send_task_success", self._tokens.succeed)
        self._replace(backend, "send_task_failure", self._tokens.fail)
        self._replace(backend, "send_task_heartbeat", self._tokens.heartbeat)
        responses = StepFunctionResponse
        self._replace(responses, "send_task_failure", _send_task_failure)
        self._replace(responses, "stop_execution", _stop_execution)
        self._replace(
            responses, "describe_execution", _describing_ends(responses.describe_execution)
        )
        # Making ready for a JSONPath costs more than following it, and flows have a few dozen.
        self._replace(json_path, "parse", functools.lru_cache(maxsize=512)(json_path.parse))
        self._replace(executions.Execution, "start", self._announcing_start())
        self._replace(ExecutionWorker, "_get_evaluation_entrypoint", _program_of)
        self._replace(ExecutionWorker, "start", self._start_worker())
        communication = executions.BaseExecutionWorkerCommunication
        self._replace(communication, "terminated", self._announcing_end())

    def _client_for(self, region: str, service: str, state_credentials: Any = None) -> Any:
        """One client per service for all tasks; moto makes a new one for each call."""
        with self._clients_lock:
            if (region, service) not in self._clients:
                self._clients[region, service] = boto3.Session().client(
                    service,
                    region_name=region,
                    endpoint_url=self._endpoint_url,
                    aws_access_key_id="test",
                    aws_secret_access_key="test",
                    config=Config(
                        parameter_validation=False,
                        retries={"total_max_attempts": 1},
                        connect_timeout=60,
                        read_timeout=3600,
                        max_pool_connections=100,
                    ),
                )
            return self._clients[region, service]

    # Executions ---------------------------------------------------------------------------

    def _starting(self, original: Any) -> Any:
        """StartExecution: a name is made up when missing; one caller at a time decides on it."""
        lock = self._start_lock

        def start_execution(
            backend: Any,
            state_machine_arn: str,
            name: str | None = None,
            execution_input: str | None = None,
            trace_header: str | None = None,
        ) -> Any:
            if name is None:
                name = str(uuid.uuid4())
            elif not 1 <= len(name) <= 80 or _BAD_NAME.search(name):
                raise InvalidName(f"Invalid Name: '{name}'")
            _check_size("input", execution_input)
            with lock:
                return original(backend, state_machine_arn, name, execution_input, trace_header)

        return start_execution

    def _announcing_start(self) -> Any:
        def start(execution: Any) -> None:
            execution.exec_worker = execution._get_start_execution_worker()
            execution.exec_status = ExecutionStatus.RUNNING
            self._announce(execution)
            execution.exec_worker.start()

        return start

    def _start_worker(self) -> Any:
        """The environment exists before StartExecution answers, so that a stop can reach it."""
        workers = self._workers

        def start(worker: Any) -> None:
            program = worker._get_evaluation_entrypoint()
            worker.env = worker._get_evaluation_environment()
            worker.env.next_state_name = program.start_at.start_at_name
            worker.thread = threading.Thread(
                target=_run_execution, args=(worker, program), name="execution", daemon=True
            )
            workers.add(worker)
            worker.thread.start()

        return start

    def _announcing_end(self) -> Any:
        def terminated(communication: Any) -> None:
            execution = communication.execution
            _reflect_end(execution)
            self._workers.discard(execution.exec_worker)
            TMP_THREADS[:] = [thread for thread in TMP_THREADS if thread.is_alive()]
            self._announce(execution)

        return terminated

    def _announce(self, execution: Any) -> None:
        if not self._quiet:
            self._emit(status_event(execution))


def _program_of(worker: Any) -> Any:
    """A machine's program, of its own; the machine's text is parsed once, not for each execution.

    Parsing takes moto 0.2 s for a flow of thirty states, and holds up everybody else meanwhile.
    """
    definition = worker._evaluation_details.state_machine_details.definition
    return Preprocessor().visit(_syntax_tree(definition))


@functools.lru_cache(maxsize=32)
def _syntax_tree(definition: str) -> Any:
    return AmazonStateLanguageParser.parse(definition)[1]


# Running -----------------------------------------------------------------------------------


def _run_execution(worker: Any, program: Any) -> None:
    details = worker._evaluation_details
    worker.env.event_manager.add_event(
        context=worker.env.event_history_context,
        event_type=HistoryEventType.ExecutionStarted,
        event_details=EventDetails(
            executionStartedEventDetails=ExecutionStartedEventDetails(
                input=to_json_str(details.execution_details.inpt),
                inputDetails=HistoryEventExecutionDataDetails(truncated=False),
                roleArn=details.aws_execution_details.role_arn,
            )
        ),
        update_source_event_id=False,
    )
    program.eval(worker.env)
    worker._execution_communication.terminated()


def _eval_program(program: Any, env: Any) -> None:
    """Run a machine or a branch to its end, or to TimeoutSeconds, or until it is stopped."""
    with env._state_mutex:
        if env.program_state() is not None and not env.is_running():
            return  # stopped before its first state
        env.next_state_name = program.start_at.start_at_name
    if program.timeout_seconds is None:
        EvalComponent.eval(program, env)
        return
    worker = threading.Thread(target=EvalComponent.eval, args=(program, env), daemon=True)
    worker.start()
    worker.join(program.timeout_seconds.timeout_seconds)
    if worker.is_alive():
        env.set_timed_out()
        worker.join(5)  # it only has to note the end in the history


def _staying_awake(original: Any) -> Any:
    """An environment that has ended stays ended: no waiter may miss the moment."""

    def end(env: Any, *args: Any, **kwargs: Any) -> None:
        original(env, *args, **kwargs)
        state = env._program_state
        if state is not None and not isinstance(state, ProgramRunning):
            env.program_state_event.set()

    return end


def _evaluate_with_timeout(state: Any, env: Any) -> None:
    """Run one attempt of a state, until StopExecution or TimeoutSeconds ends it.

    moto lets a stopped execution wait for its task, and hands the old token, with its old
    answer, to the next attempt; here each attempt gets a token of its own.
    """
    state.timeout.eval(env=env)
    timeout_s = env.stack.pop()
    endpoint = _fresh_endpoint(state, env)
    frame = env.open_frame()
    frame.states.reset(input_value=env.states.get_input())
    frame.stack = copy.deepcopy(env.stack)
    outputs: list[Any] = []
    failures: list[Exception] = []
    done = threading.Event()

    def attempt() -> None:
        try:
            state._eval_execution(frame)
            outputs.extend(frame.stack)
        except Exception as failure:  # noqa: BLE001 - handed to the waiting thread
            failures.append(failure)
        done.set()
        frame.program_state_event.set()

    if frame.is_running():
        threading.Thread(target=attempt, name=f"state-{state.name}", daemon=True).start()
        frame.program_state_event.wait(timeout_s)
    frame.set_ended()
    env.close_frame(frame)
    if endpoint is not None:
        endpoint.report(callback.CallbackConsumerTimeout())
        endpoint.interrupt_all()
    if not env.is_running():
        return
    if failures:
        raise failures[0]
    if not done.is_set():
        raise EvalTimeoutError
    _take_over(state, env, outputs.pop())


def _fresh_endpoint(state: Any, env: Any) -> Any:
    waits = isinstance(state, callback_task.StateTaskServiceCallback) and (
        state.resource.condition == ResourceCondition.WaitForTaskToken
    )
    if not waits:
        return None
    return env.callback_pool_manager.add(env.states.context_object.update_task_token())


def _take_over(state: Any, env: Any, output: Any) -> None:
    """Make an attempt's output the state's result, as moto does it."""
    env.stack.append(output)
    if not state._is_language_query_jsonpath():
        env.states.set_result(output)
    if state.assign_decl:
        state.assign_decl.eval(env=env)
    if state.result_selector:
        state.result_selector.eval(env=env)
    if state.result_path:
        state.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


def _closing_with_the_end(original: Any) -> Any:
    """What still runs when an execution is stopped adds nothing to its history any more."""
    ends = {
        HistoryEventType.ExecutionAborted,
        HistoryEventType.ExecutionFailed,
        HistoryEventType.ExecutionSucceeded,
        HistoryEventType.ExecutionTimedOut,
    }

    def add_event(manager: Any, *args: Any, **kwargs: Any) -> Any:
        history = manager._history_event_list
        if history and history[-1]["type"] in ends:
            return history[-1]["id"]
        return original(manager, *args, **kwargs)

    return add_event


def _ending_with_parent(original: Any) -> Any:
    """Branches that a stop has ended do not report success into the closed history."""

    def eval_branches(branches: Any, env: Any) -> None:
        original(branches, env)
        if not env.is_running():
            raise EvalTimeoutError

    return eval_branches


def _no_short_default(original: Any) -> Any:
    """HeartbeatSeconds alone does not bring in a 60 s time-out; AWS's default is 99999999 s."""

    def from_state_props(state: Any, state_props: Any) -> None:
        original(state, state_props)
        if isinstance(state.timeout, TimeoutSeconds) and state.timeout.is_default:
            state.timeout = TimeoutSeconds(TimeoutSeconds.DEFAULT_TIMEOUT_SECONDS)

    return from_state_props


# Errors, retries, waits ----------------------------------------------------------------------


def _naming_heartbeats(original: Any) -> Any:
    """A missed heartbeat is States.HeartbeatTimeout, not States.Timeout."""
    kind = StatesErrorNameType.StatesHeartbeatTimeout

    def from_error(state: Any, env: Any, ex: Exception) -> Any:
        event = original(state, env, ex)
        if not isinstance(ex, callback.HeartbeatTimeoutError):
            return event
        details = copy.deepcopy(event.event_details)
        next(iter(details.values()))["error"] = kind.to_name()
        return FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=kind),
            event_type=event.event_type,
            event_details=details,
        )

    return from_error


def _naming_lambda_errors(original: Any) -> Any:
    """A refused invocation is `Lambda.<code>` for a function ARN too; moto says "Exception"."""

    def from_error(state: Any, env: Any, ex: Exception) -> Any:
        event = original(state, env, ex)
        if not isinstance(ex, ClientError):
            return event
        error, cause = StateTaskServiceLambda._error_cause_from_client_error(ex)
        details = copy.deepcopy(event.event_details)
        next(iter(details.values())).update(error=error, cause=cause)
        return FailureEvent(
            env=env,
            error_name=CustomErrorName(error),
            event_type=event.event_type,
            event_details=details,
        )

    return from_error


def _matches_error(declaration: Any, env: Any) -> None:
    """ErrorEquals: States.ALL spares the terminal errors, States.TaskFailed only States.Timeout."""
    name = env.stack.pop().error_name
    wanted = {error.error_name for error in declaration.error_names}
    if name in wanted:
        matches = True
    elif name in _TERMINAL_ERRORS:
        matches = False
    else:
        matches = "States.ALL" in wanted or (
            "States.TaskFailed" in wanted and name != "States.Timeout"
        )
    env.stack.append(matches)


def _retry(retrier: Any, env: Any) -> None:
    """One retrier, with a pause that StopExecution ends."""
    outcome = retrier_decl.RetrierOutcome
    retrier.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(outcome.Skipped)
        return
    retrier.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(outcome.Failed)
        return
    retrier.interval_seconds.eval(env=env)
    retrier.backoff_rate.eval(env=env)
    retrier.max_delay_seconds.eval(env=env)
    retrier.jitter_strategy.eval(env=env)
    env.program_state_event.wait(env.stack.pop())
    env.stack.append(outcome.Executed)


def _wait(_: Any, env: Any, wait_seconds: float) -> None:
    if wait_seconds > 0 and env.is_running():
        env.program_state_event.wait(wait_seconds)


def _seconds_until(timestamp: Any, env: Any) -> int:
    """Wait states compare their timestamp with UTC; moto takes the laptop's own time zone."""
    timestamp.string.eval(env=env)
    text = env.stack.pop()
    moment: datetime | None = timestamp._from_timestamp_string(timestamp=text)
    if moment is None:
        raise FailureEventException(timestamp._create_failure_event(env, text))
    left_s = (moment.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    return max(0, math.ceil(left_s))


# Task tokens ---------------------------------------------------------------------------------


def _keeping_early(original: Any) -> Any:
    """An answer that came before the heartbeat clock was set up still ends the wait."""

    def setup_heartbeat_endpoint(endpoint: Any, heartbeat_seconds: int) -> Any:
        heartbeats = original(endpoint, heartbeat_seconds)
        if endpoint.get_outcome() is not None:
            heartbeats.notify()
        return heartbeats

    return setup_heartbeat_endpoint


class _Tokens:
    """Every task token given out. The first answer counts; later ones get TaskTimedOut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._endpoints: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        outer = self

        def succeed(_: Any, task_token: str, outcome: str) -> None:
            _check_size("output", outcome)
            _check_json(outcome)
            outer._answer(callback.CallbackOutcomeSuccess(task_token, outcome))

        def fail(
            _: Any, task_token: str, error: str | None = None, cause: str | None = None
        ) -> None:
            outer._answer(callback.CallbackOutcomeFailure(task_token, error, cause))

        def heartbeat(_: Any, task_token: str) -> None:
            with outer._lock:
                outer._open(task_token).notify_heartbeat()

        self.succeed, self.fail, self.heartbeat = succeed, fail, heartbeat

    def registering(self, original: Any) -> Any:
        def add(pool: Any, callback_id: str) -> Any:
            endpoint = original(pool, callback_id)
            self._endpoints[callback_id] = endpoint
            return endpoint

        return add

    def _answer(self, outcome: Any) -> None:
        with self._lock:
            self._open(outcome.callback_id).notify(outcome)

    def _open(self, token: str) -> Any:
        endpoint = self._endpoints.get(token)
        if endpoint is None:
            raise AWSError("Invalid Token: 'Invalid token'", "InvalidToken", 400)
        if endpoint.consumer_error is not None or endpoint.get_outcome() is not None:
            message = "Task Timed Out: 'Provided task does not exist anymore'"
            raise AWSError(message, "TaskTimedOut", 400)
        return endpoint


# The API's answers -----------------------------------------------------------------------------


def _send_task_failure(response: Any) -> ActionResult:
    backend, param = response.stepfunction_backend, response._get_param
    backend.send_task_failure(param("taskToken"), error=param("error"), cause=param("cause"))
    return EmptyResult()


def _stop_execution(response: Any) -> ActionResult:
    """StopExecution keeps error and cause, and ends a task that waits for its token."""
    execution = response.stepfunction_backend.describe_execution(
        response._get_param("executionArn")
    )
    error, cause = response._get_param("error"), response._get_param("cause")
    execution.stop(stop_date=datetime.now(UTC), error=error, cause=cause)
    execution.exec_worker.thread.join(2)
    return ActionResult({"stopDate": execution.stop_date or datetime.now(UTC)})


def _describing_ends(original: Any) -> Any:
    """DescribeExecution: every closed execution has a stop date, and every output is JSON."""

    def describe_execution(response: Any) -> ActionResult:
        result = original(response)
        arn = result.result["executionArn"]
        execution = response.stepfunction_backend.describe_execution(arn)
        if result.result["status"] != "RUNNING":
            result.result["stopDate"] = execution.stop_date
        if result.result["status"] == "SUCCEEDED":
            result.result["output"] = to_json_str(execution.output, separators=(",", ":"))
        return result

    return describe_execution


def _reflect_end(execution: Any) -> None:
    """Close an execution; its status changes last, so that a reader never sees half of it."""
    env = execution.exec_worker.env
    execution.stop_date = datetime.now(UTC)
    match env.program_state():
        case ProgramEnded():
            execution.output = env.states.get_input()
            status = ExecutionStatus.SUCCEEDED
        case ProgramStopped() as stopped:
            execution.error, execution.cause = stopped.error, stopped.cause
            status = ExecutionStatus.ABORTED
        case ProgramError() as failed:
            execution.error = (failed.error or {}).get("error")
            execution.cause = (failed.error or {}).get("cause")
            status = ExecutionStatus.FAILED
        case ProgramTimedOut():
            execution.error = StatesErrorNameType.StatesTimeout.to_name()
            status = ExecutionStatus.TIMED_OUT
        case other:
            raise RuntimeError(f"An execution ended in the state {other}.")
    execution.exec_status = status


def _check_size(what: str, text: str | None) -> None:
    if text is not None and len(text.encode()) > DATA_LIMIT_BYTES:
        raise AWSError(
            f"1 validation error detected: Value at '{what}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {DATA_LIMIT_BYTES}",
            "ValidationException",
            400,
        )


def _check_json(output: str) -> None:
    try:
        json.loads(output)
    except ValueError as failure:
        raise AWSError(f"Invalid Output: '{failure}'", "InvalidOutput", 400) from None


# The status event ------------------------------------------------------------------------------


def status_event(execution: Any) -> Envelope:
    """A 'Step Functions Execution Status Change' event.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    status = execution.exec_status.value
    moment = execution.stop_date or execution.start_date
    has_output = status == "SUCCEEDED"
    output = to_json_str(execution.output, separators=(",", ":")) if has_output else None
    escaped_output_bytes = len(json.dumps(output)) if output is not None else 0
    with_output = escaped_output_bytes <= _EVENT_DATA_LIMIT_BYTES
    escaped_bytes = len(json.dumps(execution.execution_input)) + escaped_output_bytes
    with_input = escaped_bytes <= _EVENT_DATA_LIMIT_BYTES
    redrivable = status in ("FAILED", "TIMED_OUT", "ABORTED")
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": execution.account_id,
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": execution.region_name,
        "resources": [execution.exec_arn],
        "detail": {
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine.arn,
            "stateMachineVersionArn": None,
            "stateMachineAliasArn": None,
            "name": execution.name,
            "status": status,
            "startDate": _milliseconds(execution.start_date),
            "stopDate": _milliseconds(execution.stop_date),
            "input": execution.execution_input if with_input else None,
            "inputDetails": {"included": with_input},
            "output": output if with_output else None,
            "outputDetails": {"included": with_output} if has_output else None,
            "error": execution.error,
            "cause": execution.cause,
            "redriveCount": 0,
            "redriveDate": None,
            "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE",
            "redriveStatusReason": None
            if redrivable
            else f"Execution is {status} and cannot be redriven",
        },
    }


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
