# ---- Of one environment: staging.tfvars, production.tfvars ----------------------------------------------------------

variable "region" {
  type        = string
  description = "AWS region: eu-central-1."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is the name of an AWS region, such as eu-central-1."
  }
}

variable "vpc_id" {
  type        = string
  description = "The network that all of it is in."

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id begins with vpc-."
  }
}

variable "public_subnet_ids" {
  type        = list(string)
  description = "For the load balancer: at least two, in different availability zones, with a route to the internet gateway."

  validation {
    condition     = length(var.public_subnet_ids) >= 2
    error_message = "A load balancer needs subnets in two availability zones."
  }
}

variable "instance_subnet_id" {
  type        = string
  description = "For the instance: one with a way out (NAT), which nobody reaches from outside."

  validation {
    condition     = startswith(var.instance_subnet_id, "subnet-")
    error_message = "instance_subnet_id begins with subnet-."
  }
}

variable "certificate_arn" {
  type        = string
  description = "Of ACM, for `domain`, in this region."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:acm:", var.certificate_arn))
    error_message = "certificate_arn is the ARN of a certificate in ACM."
  }
}

variable "domain" {
  type        = string
  description = "The name that the service is reached by; its DNS record points at the output load_balancer."
}

variable "image_id" {
  type        = string
  description = "An AMI of Ubuntu 26.04, x86_64. Another one makes a new instance; the state goes along."

  validation {
    condition     = startswith(var.image_id, "ami-")
    error_message = "image_id begins with ami-."
  }
}

variable "instance_type" {
  type        = string
  default     = "t3.medium"
  description = "x86_64."
}

variable "allowed_cidrs" {
  type        = list(string)
  default     = ["0.0.0.0/0"]
  description = "Who reaches the load balancer. Every request needs a token all the same."
}

variable "state_gib" {
  type        = number
  default     = 20
  description = "Of the volume with memory, journal and traces. It can grow, and not shrink."
}

variable "state_snapshot_id" {
  type        = string
  default     = null
  description = "Snapshot that a new volume begins with; no matter for one that is there."
}

variable "kept_snapshots" {
  type        = number
  default     = 7
  description = "One is made each day."
}

variable "log_days" {
  type        = number
  default     = 30
  description = "How long CloudWatch keeps the log: 30, 90, 365, ..."
}

variable "protected" {
  type        = bool
  default     = true
  description = "The instance and the load balancer cannot be deleted until this is false."
}

variable "running" {
  type        = bool
  default     = true
  description = "False takes everything away but the state: `sabir deploy destroy`."
}

# ---- `sabir deploy` says these ------------------------------------------------------------------------------------

variable "app" {
  type        = string
  description = "The project's name."

  validation {
    condition     = can(regex("^[a-z][a-z0-9_-]{0,39}$", var.app))
    error_message = "app is lower-case letters, digits, - and _, 40 at most."
  }
}

variable "environment" {
  type        = string
  description = "staging, production."
}

variable "bucket" {
  type        = string
  description = "Private and versioned, with bundles and engines by their hash below `prefix`."
}

variable "prefix" {
  type        = string
  description = "In the bucket, with its / at the end: notes/staging/."
}

variable "release" {
  type        = string
  description = "The ledger's name of what is served: r12."
}

variable "bundle_hash" {
  type        = string
  description = "SHA-256 of the bundle that is served."

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.bundle_hash))
    error_message = "bundle_hash is 64 hexadecimal digits."
  }
}

variable "engine_hash" {
  type        = string
  description = "SHA-256 of the engine that serves it."

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.engine_hash))
    error_message = "engine_hash is 64 hexadecimal digits."
  }
}

variable "packages" {
  type        = list(string)
  default     = []
  description = "Of Ubuntu, which the project's languages need."
}

variable "secret_ids" {
  type        = list(string)
  default     = []
  description = "Names in Secrets Manager of what grants and configuration name: notes/staging/openai_api_key. Never values."
}
