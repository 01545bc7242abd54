"""CloudFormation by a script: what a test wants to see happen, failures above all, which moto does not make."""
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"


class Refused(Exception):
    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Stack:
    """One stack. `plays` has for each execution the events that follow: (resource, type, status, reason), and the state that it ends in."""

    def __init__(self):
        self.status = None  # None: it is not there
        self.parameters, self.outputs, self.events, self.sets = {}, {}, [], {}
        self.plays, self.running = [], []
        self.changes = [("Add", "Instance", "AWS::EC2::Instance", "", [])]
        self.drifts = []
        self.asked, self.refusals = [], []  # actions; answers that come first

    def event(self, resource, kind, status, reason=""):
        self.events.insert(0, (resource, kind, status, reason, len(self.events)))

    def step(self):
        """One event of what runs, each time somebody looks."""
        if self.running:
            status, *event = self.running.pop(0)
            if event:
                self.event(*event)
            if status:
                self.status = status

    def execute(self, parameters):
        first = self.status == "REVIEW_IN_PROGRESS"
        play = self.plays.pop(0) if self.plays else []
        good = "CREATE_COMPLETE" if first else "UPDATE_COMPLETE"
        self.status = "CREATE_IN_PROGRESS" if first else "UPDATE_IN_PROGRESS"
        last = play[-1][0] if play and len(play[-1]) == 1 else good
        self.running = [(None, *one) for one in play if len(one) > 1] + [(last, "shop-staging", "AWS::CloudFormation::Stack", last)]
        if last == good:
            self.parameters = parameters

    # ---- Actions ---------------------------------------------------------------------------------------------------

    def need(self):
        if self.status is None:
            raise Refused("ValidationError", "Stack with id shop-staging does not exist")

    def DescribeStacks(self, form):
        self.need()
        self.step()
        parameters = "".join("<member><ParameterKey>%s</ParameterKey><ParameterValue>%s</ParameterValue></member>" % (k, escape(v)) for k, v in self.parameters.items())
        outputs = "".join("<member><OutputKey>%s</OutputKey><OutputValue>%s</OutputValue></member>" % (k, escape(v)) for k, v in self.outputs.items())
        return ("<Stacks><member><StackName>shop-staging</StackName><StackId>arn:aws:cloudformation:eu-central-1:1:stack/shop-staging/1</StackId><StackStatus>%s</StackStatus>"
                "<Parameters>%s</Parameters><Outputs>%s</Outputs></member></Stacks>" % (self.status, parameters, outputs))

    def CreateChangeSet(self, form):
        if form["ChangeSetType"] == "CREATE":
            if self.status not in (None, "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
                raise Refused("ValidationError", "Stack [shop-staging] already exists and cannot be created again with the changeSet")
            self.status = "REVIEW_IN_PROGRESS"
        else:
            self.need()
            if self.status in ("ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"):
                raise Refused("ValidationError", "Stack is in %s state and can not be updated." % self.status)
        number = 1
        parameters = {}
        while "Parameters.member.%d.ParameterKey" % number in form:
            parameters[form["Parameters.member.%d.ParameterKey" % number]] = form["Parameters.member.%d.ParameterValue" % number]
            number += 1
        self.sets[form["ChangeSetName"]] = parameters
        return "<Id>arn:%s</Id>" % form["ChangeSetName"]

    def DescribeChangeSet(self, form):
        if form["ChangeSetName"] not in self.sets:
            raise Refused("ChangeSetNotFound", "ChangeSet [%s] does not exist" % form["ChangeSetName"], 404)
        if not self.changes:
            return "<Status>FAILED</Status><StatusReason>The submitted information didn't contain changes. Submit different information to create a change set.</StatusReason>"
        changes = "".join("<member><ResourceChange><Action>%s</Action><LogicalResourceId>%s</LogicalResourceId><ResourceType>%s</ResourceType><Replacement>%s</Replacement><Details>%s</Details></ResourceChange></member>"
                          % (action, name, kind, replaced, "".join("<member><Target><Attribute>Properties</Attribute><Name>%s</Name></Target></member>" % one for one in properties))
                          for action, name, kind, replaced, properties in self.changes)
        return "<Status>CREATE_COMPLETE</Status><Changes>%s</Changes>" % changes

    def DeleteChangeSet(self, form):
        self.sets.pop(form["ChangeSetName"], None)
        return ""

    def ExecuteChangeSet(self, form):
        self.execute(self.sets.pop(form["ChangeSetName"]))
        return ""

    def DescribeStackEvents(self, form):
        self.need()
        return "<StackEvents>%s</StackEvents>" % "".join(
            "<member><EventId>e%d</EventId><Timestamp>2026-11-28T12:00:%02dZ</Timestamp><LogicalResourceId>%s</LogicalResourceId><ResourceType>%s</ResourceType><ResourceStatus>%s</ResourceStatus>"
            "<ResourceStatusReason>%s</ResourceStatusReason></member>" % (number, number % 60, name, kind, status, escape(reason)) for name, kind, status, reason, number in self.events)

    def DeleteStack(self, form):
        if self.status == "REVIEW_IN_PROGRESS":
            self.status = None
        elif self.status:
            self.status = "DELETE_IN_PROGRESS"
            self.running = [("DELETE_COMPLETE", "shop-staging", "AWS::CloudFormation::Stack", "DELETE_COMPLETE")]
        return ""

    def ContinueUpdateRollback(self, form):
        self.status = "UPDATE_ROLLBACK_IN_PROGRESS"
        self.running = [("UPDATE_ROLLBACK_COMPLETE", "shop-staging", "AWS::CloudFormation::Stack", "UPDATE_ROLLBACK_COMPLETE")]
        return ""

    def ListStackResources(self, form):
        self.need()
        return "<StackResourceSummaries>%s</StackResourceSummaries>" % "".join(
            "<member><LogicalResourceId>%s</LogicalResourceId><ResourceType>%s</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>" % one
            for one in (("Instance", "AWS::EC2::Instance"), ("StateVolume", "AWS::EC2::Volume")))

    def DetectStackDrift(self, form):
        return "<StackDriftDetectionId>d1</StackDriftDetectionId>"

    def DescribeStackDriftDetectionStatus(self, form):
        return "<DetectionStatus>DETECTION_COMPLETE</DetectionStatus>"

    def DescribeStackResourceDrifts(self, form):
        return "<StackResourceDrifts>%s</StackResourceDrifts>" % "".join(
            "<member><LogicalResourceId>%s</LogicalResourceId><ResourceType>%s</ResourceType><StackResourceDriftStatus>%s</StackResourceDriftStatus><PropertyDifferences>%s</PropertyDifferences></member>"
            % (name, kind, status, "".join("<member><PropertyPath>%s</PropertyPath><ExpectedValue>%s</ExpectedValue><ActualValue>%s</ActualValue></member>" % one for one in differences))
            for name, kind, status, differences in self.drifts)


def serve(stack):
    """Its server, listening at a free port of the loopback; stop it by shutdown() and server_close()."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True))
            action = form["Action"]
            with lock:
                stack.asked.append((action, form))
                try:
                    if stack.refusals and stack.refusals[0][0] == action:
                        _, code, message, status = stack.refusals.pop(0)
                        raise Refused(code, message, status)
                    status, body = 200, '<%sResponse xmlns="%s"><%sResult>%s</%sResult></%sResponse>' % (action, NAMESPACE, action, getattr(stack, action)(form), action, action)
                except Refused as refused:
                    status = refused.status
                    body = '<ErrorResponse xmlns="%s"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>' % (NAMESPACE, refused.code, escape(refused.message))
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    lock = threading.Lock()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
