# What the instance may: fetch bundles and engines, read the secrets that the project names, write its log, be told what to serve.

data "aws_partition" "this" {}

# By their names, so that the policy has their ARNs and nothing wider. One that is not there yet: sabir secrets set NAME --env ENVIRONMENT.
data "aws_secretsmanager_secret" "named" {
  for_each = toset(var.secret_ids)
  name     = each.key
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "instance" {
  # checkov:skip=CKV_AWS_356:The messages of Systems Manager's agent know no resources.
  # checkov:skip=CKV_AWS_111:The same: they reach nothing but the agent's own channel.
  statement {
    sid     = "FetchReleases"
    actions = ["s3:GetObject"]
    resources = [
      "arn:${data.aws_partition.this.partition}:s3:::${var.bucket}/${var.prefix}bundles/*",
      "arn:${data.aws_partition.this.partition}:s3:::${var.bucket}/${var.prefix}engines/*",
      "arn:${data.aws_partition.this.partition}:s3:::${var.bucket}/${var.prefix}tokens.json",
    ]
  }

  # So that what is not there is said to be not there, and not forbidden.
  statement {
    sid       = "LookForReleases"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.this.partition}:s3:::${var.bucket}"]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${var.prefix}*"]
    }
  }

  statement {
    sid       = "WriteLog"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.engine.arn}:*"]
  }

  # What the agent of Systems Manager needs to be told of a release; AWS's own policy for it would let it read every parameter.
  statement {
    sid = "BeTold"
    actions = [
      "ec2messages:AcknowledgeMessage", "ec2messages:DeleteMessage", "ec2messages:FailMessage", "ec2messages:GetEndpoint",
      "ec2messages:GetMessages", "ec2messages:SendReply",
      "ssm:DescribeAssociation", "ssm:DescribeDocument", "ssm:GetDeployablePatchSnapshotForInstance", "ssm:GetDocument", "ssm:GetManifest",
      "ssm:ListAssociations", "ssm:ListInstanceAssociations", "ssm:PutComplianceItems", "ssm:PutInventory",
      "ssm:UpdateAssociationStatus", "ssm:UpdateInstanceAssociationStatus", "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "secrets" {
  statement {
    sid       = "ReadWhatIsGranted"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [for secret in data.aws_secretsmanager_secret.named : secret.arn]
  }
}

resource "aws_iam_role" "instance" {
  name_prefix        = "${substr(var.app, 0, 20)}-instance-"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "instance" {
  name   = "instance"
  role   = aws_iam_role.instance.id
  policy = data.aws_iam_policy_document.instance.json
}

resource "aws_iam_role_policy" "secrets" {
  count = length(var.secret_ids) > 0 ? 1 : 0

  name   = "secrets"
  role   = aws_iam_role.instance.id
  policy = data.aws_iam_policy_document.secrets.json
}

resource "aws_iam_instance_profile" "instance" {
  name_prefix = "${substr(var.app, 0, 20)}-instance-"
  role        = aws_iam_role.instance.name
}
