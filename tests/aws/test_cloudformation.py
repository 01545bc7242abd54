"""The target cloudformation: stacks made, changed and taken away by moto's server with botocore's signatures, and what moto never does
(failures, rollbacks, throttling, sessions that end, drift) by a scripted CloudFormation."""
import json
import time
import urllib.request

import aws_front
import pytest
import scripted_aws
from aws_front import KEYS, REGION
from harness import write

pytestmark = pytest.mark.skipif(not aws_front.is_installed(), reason="moto and botocore are installed where CI=true script/setup ran")

# As small as moto likes it, with the parameters that `sabir deploy` gives and the outputs that it reads.
TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Url: {Type: String}
  Release: {Type: String}
  BundleHash: {Type: String}
  EngineHash: {Type: String}
  SecretArns: {Type: CommaDelimitedList, Default: ""}
Resources:
  Log:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: /sabir/shop/staging}
  Release1:
    Type: AWS::SSM::Parameter
    Properties:
      Name: /shop/staging/release
      Type: String
      Value: !Join ["/", [!Ref EngineHash, !Ref BundleHash]]
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]
      Policies:
        - PolicyName: secrets
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{Effect: Allow, Action: "secretsmanager:GetSecretValue", Resource: !Ref SecretArns}]
Outputs:
  Url: {Value: !Ref Url}
  LogGroup: {Value: !Ref Log}
  Release: {Value: !Ref Release}
"""


def group_of(item):
    return "aws"


@pytest.fixture(scope="module", autouse=True)
def packages():
    with aws_front.packages():
        yield


@pytest.fixture(scope="module")
def moto():
    with aws_front.moto_server() as url:
        yield url


@pytest.fixture
def front(moto):
    urllib.request.urlopen(urllib.request.Request(moto + "/moto-api/reset", method="POST"), timeout=30).close()
    with aws_front.front(moto) as server:
        yield server


@pytest.fixture
def shop(machine, made_projects, front):
    """A project of one language, served on this machine in place of an instance, and the deployment of it."""
    import shutil

    path = machine.folder / "shop"
    shutil.copytree(made_projects("shell"), path, symlinks=True)
    serving = machine.folder / "serving"
    shutil.copytree(made_projects("shell"), serving, symlinks=True)
    served = machine.start(machine.binary, "serve", "--port", "0", "--json", cwd=serving)
    url = json.loads(served.stdout.readline())["address"].rstrip("/")
    shutil.rmtree(path / "tests/evals")  # recorded with a model that this configuration does not have
    write(path / "config/deployment_config.yml",
          "environments:\n  staging: {target: cloudformation, bucket: shop-releases, region: %s, template: deploy/template.yml, parameters: deploy/staging.yml, smoke: false}\n" % REGION)
    write(path / "config/secrets_config.staging.yml", "order: [environment, aws]\naws: {region: %s}\n" % REGION)
    write(path / "config/openai_config.yml", "default: scripted\nmodels:\n  scripted: {provider: scripted, script: tests/scripted_replies.json}\n")
    write(path / "deploy/template.yml", TEMPLATE)
    write(path / "deploy/staging.yml", 'parameters:\n  Url: "%s"\n' % url)
    front.outputs = {"Url": url, "LogGroup": "/sabir/shop/staging"}
    machine.env.update(KEYS, AWS_ENDPOINT_URL="http://127.0.0.1:%d" % front.server_port, XDG_STATE_HOME=str(machine.folder / "state"))

    def deploy(*words, **options):
        return machine.sabir("deploy", *words, "--env", "staging", cwd=path, timeout=300, **options)

    deploy.path, deploy.url, deploy.machine = path, url, machine
    return deploy


@pytest.fixture
def scripted(shop, front):
    """CloudFormation by a script; everything else still by moto."""
    stack = scripted_aws.Stack()
    stack.outputs = {"Url": shop.url, "LogGroup": "/sabir/shop/staging"}
    server = scripted_aws.serve(stack)
    shop.machine.env["AWS_ENDPOINT_URL_CLOUDFORMATION"] = "http://127.0.0.1:%d" % server.server_port
    yield stack
    server.shutdown()
    server.server_close()


def changed(shop, text="again"):
    """Another bundle."""
    write(shop.path / "functions/shell/more.sh", '#!/usr/bin/env bash\n# Says it %s.\n#\n# Effect: read\nmore() {\n  echo %s\n}\n' % (text, text))


def test_a_stack_is_made_changed_and_taken_away_with_botocore_s_signatures(shop, front, moto):
    write(shop.path / "config/grants.yml", "functions:\n  backups.last: [bank_key]\n")
    done = shop("plan")
    assert done.code == 0 and "AWS::IAM::Role Role" in done.out and "bank_key" in done.out, done
    cloudformation = aws_front.client("cloudformation", moto)
    assert cloudformation.list_stacks(StackStatusFilter=["CREATE_COMPLETE", "REVIEW_IN_PROGRESS"])["StackSummaries"] == []
    done = shop("apply", "--yes")
    assert done.code == 1 and "sabir secrets set bank_key --env staging" in done.text, done
    assert shop.machine.sabir("secrets", "set", "bank_key", "--env", "staging", cwd=shop.path, input="bank-value-1").code == 0
    done = shop("apply", "--yes")
    assert done.code == 0, done

    def stack():
        return cloudformation.describe_stacks(StackName="shop-staging")["Stacks"][0]

    first = {one["ParameterKey"]: one["ParameterValue"] for one in stack()["Parameters"]}
    assert stack()["StackStatus"] == "CREATE_COMPLETE"
    # The policy has the one secret by its whole ARN.
    arn = aws_front.client("secretsmanager", moto).describe_secret(SecretId="shop/staging/bank_key")["ARN"]
    assert arn in first["SecretArns"]
    policy = aws_front.client("iam", moto).list_roles()["Roles"]
    role = next(one["RoleName"] for one in policy if "shop-staging" in one["RoleName"])
    document = aws_front.client("iam", moto).get_role_policy(RoleName=role, PolicyName="secrets")["PolicyDocument"]
    # moto keeps it as Python writes it.
    assert arn in str(document) and "'*'" not in str(document) and "/*" not in str(document)
    # Bundle and engine are in the bucket by their hashes, and the bucket is as it should be.
    s3 = aws_front.client("s3", moto)
    keys = {one["Key"] for one in s3.list_objects_v2(Bucket="shop-releases")["Contents"]}
    assert {"shop/staging/bundles/%s.tar.gz" % first["BundleHash"], "shop/staging/engines/%s" % first["EngineHash"]} <= keys
    assert s3.get_bucket_versioning(Bucket="shop-releases")["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket="shop-releases")["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_encryption(Bucket="shop-releases")["ServerSideEncryptionConfiguration"]["Rules"]
    # A second release is an update, and nothing to do is said.
    changed(shop)
    done = shop("apply", "--yes")
    assert done.code == 0, done
    second = {one["ParameterKey"]: one["ParameterValue"] for one in stack()["Parameters"]}
    assert stack()["StackStatus"] == "UPDATE_COMPLETE" and second["BundleHash"] != first["BundleHash"]
    done = shop("status", "--json")
    assert done.code == 0 and second["BundleHash"] in done.out and shop.url in done.out, done
    # The log.
    logs = aws_front.client("logs", moto)
    logs.create_log_stream(logGroupName="/sabir/shop/staging", logStreamName="i-1")
    now = int(time.time() * 1000)
    logs.put_log_events(logGroupName="/sabir/shop/staging", logStreamName="i-1", logEvents=[{"timestamp": now - 10, "message": "first line"}, {"timestamp": now, "message": "second line"}])
    done = shop("logs")
    assert done.code == 0 and done.out.splitlines()[-2:] == ["first line", "second line"], done
    done = shop("destroy", "--yes")
    assert done.code == 0, done
    assert "shop-staging" not in [one["StackName"] for one in cloudformation.describe_stacks()["Stacks"]]
    actions = {action for action, _, _ in front.seen}
    assert actions >= {"CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DescribeStackEvents", "DeleteStack", "PUT", "GET", "HEAD", "FilterLogEvents"}, actions
    for action, ours, theirs in front.seen:
        assert ours == theirs, action


def test_the_template_of_new_projects_is_made_whole(shop, front, moto):
    """All of its resources, as far as moto has them: instance, volume, roles, groups, load balancer with its certificate."""
    assert shop.machine.sabir("deploy", "init", "cloudformation", cwd=shop.path).code == 0
    ec2 = aws_front.client("ec2", moto)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.%d.0/24" % number, AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"] for number, zone in enumerate("abc")]
    certificate = aws_front.client("acm", moto).request_certificate(DomainName="staging.example.com")["CertificateArn"]
    values = {"VpcId": vpc, "PublicSubnetIds": subnets[:2], "InstanceSubnetId": subnets[2], "AvailabilityZone": REGION + "c", "CertificateArn": certificate, "Domain": "staging.example.com",
              "ImageId": ec2.describe_images()["Images"][0]["ImageId"], "Protected": False}
    write(shop.path / "deploy/cloudformation/staging.yml", json.dumps({"parameters": values}))
    write(shop.path / "config/deployment_config.yml", "environments:\n  staging: {target: cloudformation, bucket: shop-releases, region: %s, smoke: false}\n" % REGION)
    done = shop("apply", "--yes")
    assert done.code == 0, done
    instance = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["shop-staging"]}])["Reservations"][0]["Instances"][0]
    # moto leaves the tags of volumes out.
    volumes = ec2.describe_volumes()["Volumes"]
    (volume,) = [one for one in volumes if one["Encrypted"]]
    assert volume["Encrypted"] and volume["Attachments"][0]["InstanceId"] == instance["InstanceId"]
    groups = {one["GroupId"]: one for one in ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]}
    ((own, rule),) = [(group, one) for group in groups.values() for one in group["IpPermissions"] if one.get("FromPort") == 8080]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (8080, 8080, []) and "load balancer" in groups[rule["UserIdGroupPairs"][0]["GroupId"]]["Description"]
    data = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")["UserData"].get("Value", "")
    import base64

    script = base64.b64decode(data).decode()
    if script:
        assert script.startswith("#!/bin/bash\napp='shop'\n") and "\nvolume=" in script and len(script) < 16_384
    # Blanks that are filled in wrongly are CloudFormation's to refuse, and nothing is left half-made.
    changed(shop)
    assert shop("apply", "--yes").code == 0
    done = shop("destroy", "--yes")
    assert done.code == 0 and volume["VolumeId"] not in done.err, done


def test_two_that_deploy_at_once_cannot_both_hold_the_lock(shop, front, moto):
    s3 = aws_front.client("s3", moto)
    assert shop("apply", "--yes").code == 0
    changed(shop)
    # Somebody else's, which is alive.
    lock = [one["Key"] for one in s3.list_objects_v2(Bucket="shop-releases")["Contents"] if "lock" in one["Key"]]
    both = [shop.machine.start(shop.machine.binary, "deploy", "apply", "--yes", "--env", "staging", cwd=shop.path) for _ in range(2)]
    codes = sorted(one.wait(timeout=300) for one in both)
    assert codes in ([0, 0], [0, 1]), (codes, lock, [one.stderr.read() for one in both])


def test_a_change_that_fails_is_taken_back_and_the_first_cause_is_named(shop, scripted):
    scripted.plays = [[], [("Instance", "AWS::EC2::Instance", "UPDATE_IN_PROGRESS", ""), ("Release", "AWS::SSM::Association", "UPDATE_FAILED", "Resource timed out: /readyz does not answer 200"),
                           ("Log", "AWS::Logs::LogGroup", "UPDATE_FAILED", "Resource update cancelled"), ("UPDATE_ROLLBACK_COMPLETE",)]]
    assert shop("apply", "--yes").code == 0
    changed(shop)
    done = shop("apply", "--yes")
    assert done.code == 1, done
    assert "UPDATE_FAILED  Release (AWS::SSM::Association): Resource timed out" in done.text and "Resource update cancelled" in done.text
    assert "has taken the change of shop-staging back: Release: Resource timed out" in done.text, done
    done = shop("status")
    assert "back: Release: Resource timed out" in done.text, done


def test_a_stack_that_never_came_up_is_made_anew(shop, scripted):
    scripted.plays = [[("Instance", "AWS::EC2::Instance", "CREATE_FAILED", "The image id 'ami-1' does not exist"), ("ROLLBACK_COMPLETE",)], []]
    done = shop("apply", "--yes")
    assert done.code == 1 and "ami-1" in done.text and "ROLLBACK_COMPLETE" in done.text, done
    assert "never came up" in shop("plan").text
    done = shop("apply", "--yes")
    assert done.code == 0 and "taken away first" in done.text, done
    assert scripted.status == "CREATE_COMPLETE"


def test_a_rollback_that_got_stuck_is_gone_on_with_and_a_change_of_somebody_else_s_waited_for(shop, scripted):
    assert shop("apply", "--yes").code == 0
    changed(shop)
    scripted.status = "UPDATE_ROLLBACK_FAILED"
    done = shop("apply", "--yes")
    assert done.code == 0 and "going on with that" in done.text, done
    changed(shop, "thrice")
    scripted.status, scripted.running = "UPDATE_IN_PROGRESS", [(None, "Log", "AWS::Logs::LogGroup", "UPDATE_IN_PROGRESS")] * 12 + [("UPDATE_COMPLETE", "shop-staging", "AWS::CloudFormation::Stack", "UPDATE_COMPLETE")]
    done = shop("apply", "--yes")
    assert done.code == 0 and "waiting for it" in done.text, done


def test_throttling_is_waited_out_and_an_ended_session_is_said(shop, scripted):
    scripted.refusals = [("DescribeStacks", "Throttling", "Rate exceeded", 400)] * 3
    assert shop("apply", "--yes").code == 0
    scripted.refusals = [("DescribeStacks", "ExpiredToken", "The security token included in the request is expired", 403)] * 9
    done = shop("status")
    assert done.code == 1 and "sign in anew" in done.text and "token==" not in done.text, done
    scripted.refusals = [("DescribeStacks", "AccessDenied", "User is not authorized", 403)] * 9
    done = shop("status")
    assert done.code == 1 and "cloudformation:DescribeStacks" in done.text, done


def test_drift_stands_in_the_plan(shop, scripted):
    assert shop("apply", "--yes").code == 0
    scripted.drifts = [("Instance", "AWS::EC2::Instance", "MODIFIED", [("/InstanceType", "t3.medium", "t3.large")]), ("Log", "AWS::Logs::LogGroup", "DELETED", [])]
    scripted.changes = [("Modify", "Instance", "AWS::EC2::Instance", "True", ["ImageId"])]
    done = shop("plan")
    assert done.code == 0 and "Instance was changed: /InstanceType: t3.medium -> t3.large" in done.text and "Log is gone" in done.text and "ImageId" in done.text, done


def test_blanks_are_named_with_their_line_and_nothing_is_asked(shop, front):
    done = shop.machine.sabir("deploy", "init", "cloudformation", cwd=shop.path)
    assert done.code == 0 and "blanks" in done.text, done
    write(shop.path / "config/deployment_config.yml", "environments:\n  staging: {target: cloudformation, bucket: shop-releases, region: %s}\n" % REGION)
    done = shop("plan")
    assert done.code == 1 and "deploy/cloudformation/staging.yml:4" in done.text and "VpcId" in done.text and "ImageId" in done.text, done
    assert not [action for action, _, _ in front.seen if action.endswith("ChangeSet")]


@pytest.mark.parametrize("target", ["ecs", "Fargate", "cloud-run", "kubernetes"])
def test_a_service_of_containers_is_refused_with_the_reason(shop, target):
    write(shop.path / "config/deployment_config.yml", "environments:\n  staging: {target: %s}\n" % target)
    done = shop("plan")
    assert done.code == 1 and "config/deployment_config.yml:2" in done.text and "SQLite" in done.text and "PostgreSQL" in done.text, done
