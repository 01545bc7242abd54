locals {
  name = "${var.app}-${var.environment}"
  port = 8080

  # The rest of it, instance.sh, is the same in CloudFormation. Nothing here changes with a release, and nothing is secret.
  user_data = join("\n", [
    "#!/bin/bash",
    "app='${var.app}'",
    "environment='${var.environment}'",
    "region='${var.region}'",
    "bucket='${var.bucket}'",
    "prefix='${var.prefix}'",
    "volume='${var.volume_id}'",
    "port='${local.port}'",
    "log_group='${aws_cloudwatch_log_group.engine.name}'",
    "packages='${join(" ", var.packages)}'",
    file("${path.module}/instance.sh"),
  ])
}

resource "aws_cloudwatch_log_group" "engine" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts it with a key of its own; secrets are taken out before a line is written.
  # checkov:skip=CKV_AWS_338:How long is a variable; production.tfvars says a year.
  name              = "/sabir/${var.app}/${var.environment}"
  retention_in_days = var.log_days
}

resource "aws_security_group" "instance" {
  name_prefix = "${local.name}-instance-"
  description = "The engine of ${local.name}: the load balancer alone reaches it"
  vpc_id      = var.vpc_id

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "instance_from_load_balancer" {
  security_group_id            = aws_security_group.instance.id
  description                  = "Requests, and the health check"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

# 443: AWS, models, whatever functions ask. 80: packages of Ubuntu, which are signed.
resource "aws_vpc_security_group_egress_rule" "instance" {
  for_each = toset(["80", "443"])

  security_group_id = aws_security_group.instance.id
  description       = "Out, port ${each.key}"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}

resource "aws_instance" "engine" {
  ami                         = var.image_id
  instance_type               = var.instance_type
  subnet_id                   = var.instance_subnet_id
  vpc_security_group_ids      = [aws_security_group.instance.id]
  iam_instance_profile        = aws_iam_instance_profile.instance.name
  associate_public_ip_address = false
  disable_api_termination     = var.protected
  monitoring                  = true
  ebs_optimized               = true
  user_data                   = local.user_data

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = 20
  }

  tags = {
    Name = local.name
  }
}

resource "aws_volume_attachment" "state" {
  device_name                    = "/dev/sdf"
  volume_id                      = var.volume_id
  instance_id                    = aws_instance.engine.id
  stop_instance_before_detaching = true
}

# The agent that brings the log to CloudWatch.
resource "aws_ssm_association" "log_agent" {
  association_name = "${local.name}-log-agent"
  name             = "AWS-ConfigureAWSPackage"

  parameters = {
    action = "Install"
    name   = "AmazonCloudWatchAgent"
  }

  targets {
    key    = "InstanceIds"
    values = [aws_instance.engine.id]
  }

  wait_for_success_timeout_seconds = 1200
  depends_on                       = [aws_iam_role_policy.instance, aws_volume_attachment.state]
}

# A release: what changes runs this on the instance, and Terraform waits for how it ends. The one before keeps answering until
# the new one does.
resource "aws_ssm_association" "release" {
  association_name = "${local.name}-release"
  name             = "AWS-RunShellScript"

  parameters = {
    commands         = "cloud-init status --wait >/dev/null; exec /usr/local/sbin/sabir-release ${var.engine_hash} ${var.bundle_hash}"
    executionTimeout = "1800"
  }

  targets {
    key    = "InstanceIds"
    values = [aws_instance.engine.id]
  }

  wait_for_success_timeout_seconds = 1800
  depends_on                       = [aws_ssm_association.log_agent, aws_iam_role_policy.secrets]
}
