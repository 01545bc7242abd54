# One instance with a volume of its own behind a load balancer. Why one: the store is SQLite, which lives on one machine.

data "aws_subnet" "instance" {
  id = var.instance_subnet_id
}

# The state of the project: memory, journal, traces, tokens. It outlives instances, and `sabir deploy destroy`.
resource "aws_ebs_volume" "state" {
  # checkov:skip=CKV_AWS_189:AWS's own key of this account encrypts it; name a key of yours in kms_key_id where rules ask for one.
  availability_zone = data.aws_subnet.instance.availability_zone
  size              = var.state_gib
  type              = "gp3"
  encrypted         = true
  snapshot_id       = var.state_snapshot_id
  final_snapshot    = true

  tags = {
    Name  = "${var.app}-${var.environment}-state"
    state = "${var.app}-${var.environment}"
  }

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [snapshot_id]
  }
}

data "aws_iam_policy_document" "snapshots_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["dlm.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "snapshots" {
  # checkov:skip=CKV_AWS_111:Snapshots have no name before they are made; only those with the tag of this state are touched.
  # checkov:skip=CKV_AWS_356:DescribeVolumes and DescribeSnapshots know no resources.
  statement {
    sid       = "Look"
    actions   = ["ec2:DescribeVolumes", "ec2:DescribeSnapshots", "ec2:DescribeInstances"]
    resources = ["*"]
  }

  statement {
    sid       = "Make"
    actions   = ["ec2:CreateSnapshot"]
    resources = [aws_ebs_volume.state.arn, "arn:${data.aws_partition.this.partition}:ec2:${var.region}::snapshot/*"]
  }

  statement {
    sid       = "MarkWhatIsMade"
    actions   = ["ec2:CreateTags"]
    resources = ["arn:${data.aws_partition.this.partition}:ec2:${var.region}::snapshot/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateSnapshot"]
    }
  }

  statement {
    sid       = "DropOldOnes"
    actions   = ["ec2:DeleteSnapshot"]
    resources = ["arn:${data.aws_partition.this.partition}:ec2:${var.region}::snapshot/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/state"
      values   = ["${var.app}-${var.environment}"]
    }
  }
}

data "aws_partition" "this" {}

resource "aws_iam_role" "snapshots" {
  name_prefix        = "${substr(var.app, 0, 20)}-snapshots-"
  assume_role_policy = data.aws_iam_policy_document.snapshots_trust.json
}

resource "aws_iam_role_policy" "snapshots" {
  name   = "snapshots"
  role   = aws_iam_role.snapshots.id
  policy = data.aws_iam_policy_document.snapshots.json
}

resource "aws_dlm_lifecycle_policy" "snapshots" {
  description        = "Daily snapshots of the state of ${var.app} ${var.environment}"
  execution_role_arn = aws_iam_role.snapshots.arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["VOLUME"]
    target_tags    = { state = "${var.app}-${var.environment}" }

    schedule {
      name      = "daily"
      copy_tags = true

      create_rule {
        interval      = 24
        interval_unit = "HOURS"
        times         = ["03:00"]
      }

      retain_rule {
        count = var.kept_snapshots
      }
    }
  }
}

module "service" {
  source = "./service"
  count  = var.running ? 1 : 0

  app                = var.app
  environment        = var.environment
  region             = var.region
  vpc_id             = var.vpc_id
  public_subnet_ids  = var.public_subnet_ids
  instance_subnet_id = var.instance_subnet_id
  certificate_arn    = var.certificate_arn
  image_id           = var.image_id
  instance_type      = var.instance_type
  allowed_cidrs      = var.allowed_cidrs
  log_days           = var.log_days
  protected          = var.protected
  volume_id          = aws_ebs_volume.state.id
  bucket             = var.bucket
  prefix             = var.prefix
  bundle_hash        = var.bundle_hash
  engine_hash        = var.engine_hash
  packages           = var.packages
  secret_ids         = var.secret_ids
}
